"""docs/reference/testing.md names all public names, and no others."""

import subprocess
import sys

from alertd import testing
from alertd.testing import contract
from tests.docs_pages import ROOT, first_column, prose, section

PAGE = ROOT / "docs" / "reference" / "testing.md"


def asked_by(suite: type) -> set[str]:
    return {name for name in vars(suite) if name.startswith("test_")}


def test_every_name_is_documented() -> None:
    before, _, _ = prose(PAGE).partition("## The contract")

    assert sorted(first_column(before, "name")) == sorted(testing.__all__)
    assert sorted(first_column(section("testing.md", "The contract"), "name")) == sorted(contract.__all__)


def test_every_test_of_the_contract_is_documented() -> None:
    told = first_column(section("testing.md", "The contract"), "test")

    assert sorted(told) == sorted(asked_by(contract.NotifierContract) | asked_by(contract.HttpContract))


def test_the_suite_alone_needs_pytest() -> None:
    suite = ROOT / "alertd" / "testing" / "contract"
    needing = {
        path.relative_to(ROOT)
        for path in (ROOT / "alertd").rglob("*.py")
        if "import pytest" in path.read_text(encoding="utf-8") and not path.is_relative_to(suite)
    }
    code = "import sys; import alertd.app, alertd.testing; sys.exit('pytest' in sys.modules)"

    assert not needing
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
