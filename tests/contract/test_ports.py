"""Test who depends on which role of the ledger."""

import ast
from collections.abc import Iterator
from pathlib import Path

import alertd

PACKAGE = Path(alertd.__file__).parent
COMPOSITION_ROOT = PACKAGE / "app"


def find_annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Find the types of parameters and of attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation


def test_only_the_composition_root_takes_a_whole_ledger() -> None:
    """Every other class and function names the roles that it needs."""
    files = [file for file in PACKAGE.rglob("*.py") if file.parent != COMPOSITION_ROOT]

    found = [
        f"{file.relative_to(PACKAGE)}:{annotation.lineno}"
        for file in files
        for annotation in find_annotations(ast.parse(file.read_text(encoding="utf-8")))
        if any(isinstance(part, ast.Name) and part.id == "Ledger" for part in ast.walk(annotation))
    ]

    assert found == []
