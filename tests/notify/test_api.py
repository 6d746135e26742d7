"""`alertd.notify` has all that a backend needs: the how-to names it, and costs nothing that is not used."""

import ast
import subprocess
import sys
from pathlib import Path

import alertd.notify
from tests.docs_pages import ROOT, codes, prose, tables

HOWTO = ROOT / "docs" / "howto" / "write-a-notifier.md"
BACKENDS = (
    "apprise",
    "discord",
    "exec",
    "file",
    "google_chat",
    "matrix",
    "mattermost",
    "ntfy",
    "sms",
    "teams",
    "telegram",
)
"""The built-in backends that import nothing else of alertd, as a backend of another package would."""


def test_every_name_is_in_the_how_to() -> None:
    (table,) = tables(prose(HOWTO))

    named = {name for row in table.rows for name in codes(row[0])}

    assert named == set(alertd.notify.__all__)


def test_every_name_has_a_docstring_or_is_a_value() -> None:
    undocumented = [
        name
        for name in alertd.notify.__all__
        if callable(made := getattr(alertd.notify, name)) and not isinstance(made, str) and not made.__doc__
    ]

    assert not undocumented


def test_a_backend_needs_no_other_import_of_alertd() -> None:
    for name in BACKENDS:
        tree = ast.parse(Path(alertd.notify.__file__).with_name(f"{name}.py").read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {module for module in imported if module and module.startswith("alertd")} == {"alertd.notify"}


def test_help_does_not_import_it() -> None:
    """So it costs nothing where `alertd --help` starts."""
    code = "import sys, alertd.cli; print([name for name in sys.modules if name.startswith('alertd.notify')])"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"
