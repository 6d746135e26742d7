"""`alertd notifiers` lists the installed types, their packages and their options."""

import json
from pathlib import Path

import pytest

from alertd import __version__
from alertd.notify.registry import list_usable
from tests.cli.stage import run


def rows(*names: str) -> dict[str, dict[str, object]]:
    return {row["type"]: row for row in json.loads(run("notifiers", *names, "--format", "json").out)}


def test_every_type_is_listed_with_its_package() -> None:
    ran = run("notifiers")

    listed = rows()
    assert ran.code == 0
    assert list(listed) == list(list_usable())
    assert {(row["package"], row["version"], row["usable"]) for row in listed.values()} == {
        ("alertd", __version__, True)
    }
    assert all(row["about"] for row in listed.values())
    assert [line.split()[0] for line in ran.lines if line[0] != " "] == ["TYPE", *listed]


def test_every_option_is_told_in_a_line() -> None:
    for name, row in rows().items():
        options = row["options"]
        assert isinstance(options, list)
        known = {field.alias or key for key, field in list_usable()[name].load().Options.model_fields.items()}
        assert {option["key"] for option in options} == known
        assert all(option["about"] and "\n" not in option["about"] for option in options), name


def test_options_of_one_come_with_defaults_its_own_first() -> None:
    ran = run("notifiers", "telegram", "ntfy", columns=120)

    lines = [line.split() for line in ran.lines]
    assert ["timeout", "15"] in [words[:2] for words in lines]
    assert ["chat", "needed"] in [words[:2] for words in lines]
    own, inherited = (
        next(at for at, words in enumerate(lines) if words[:1] == [key]) for key in ("topic", "ca_file")
    )
    assert own < inherited


def test_an_unknown_type_is_wrong_usage() -> None:
    ran = run("notifiers", "slak")

    assert ran.code == 2
    assert "did you mean slack?" in " ".join(ran.err.replace("│", " ").split())


def package(folder: Path, name: str, kind: str, module: str) -> None:
    """Write a package as an installer would leave it."""
    about = folder / f"{name.replace('-', '_')}-2.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text(f"[alertd.notifiers]\n{kind} = {name.replace('-', '_')}:Made\n")
    (folder / f"{name.replace('-', '_')}.py").write_text(module)


def test_one_that_cannot_be_used_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "alertd-broken", "broken", "import no_such_module\n")
    package(tmp_path, "alertd-odd", "odd", "class Made:\n    pass\n")
    package(tmp_path, "alertd-slack-too", "slack", "raise RuntimeError('never imported')\n")
    monkeypatch.syspath_prepend(tmp_path)

    ran = run("notifiers")

    assert ran.code == 1
    found = [row for row in json.loads(run("notifiers", "--format", "json").out) if not row["usable"]]
    assert {(row["package"], row["why_not"]) for row in found} == {
        ("alertd-broken", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("alertd-odd", "its Options is not a pydantic model"),
        ("alertd-slack-too", "alertd brings a type of that name, and comes first"),
    }
    assert rows("slack")["slack"]["version"] == "2.0"
    assert run("notifiers", "webhook").code == 0


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`apprise` reports the extra if its package is not installed."""
    module = (
        "from pydantic import BaseModel\n\nclass Made:\n    class Options(BaseModel):\n        pass\n"
        "    send = aclose = None\n    @staticmethod\n    def missing():\n"
        "        return 'install alertd-extra[all]'\n"
    )
    package(tmp_path, "alertd-extra", "extra", module)
    monkeypatch.syspath_prepend(tmp_path)

    ran = run("notifiers", "extra")

    assert ran.code == 1
    assert "Cannot be used: install alertd-extra[all]" in ran.out
