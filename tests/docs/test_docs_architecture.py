"""The page about the architecture names files, functions and layers that there are."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs_pages import ROOT, codes, tables

PAGE = ROOT / "docs" / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]

# Whitespace includes the line break of a paragraph.
NAMED = sorted(set(re.findall(r"`([A-Za-z_][\w.]*)`\s+in\s+`([\w/]+\.py)`", TEXT)))


def find_path(name: str) -> Path:
    """Find a path of the page: below the package or the root, or a test by its name alone."""
    if name.startswith("test_"):
        return next((ROOT / "tests").rglob(name), ROOT / "tests" / name)
    inside = ROOT / "alertd" / name
    return inside if inside.exists() else ROOT / name


def names_in(file: Path) -> Iterator[str]:
    """List the names that a module defines, those of classes with the class in front."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        yield from defined(node)
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{name}" for inner in node.body for name in defined(inner))


def defined(node: ast.stmt) -> Iterator[str]:
    """List the names that a statement defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case _:
            pass


@pytest.mark.parametrize(("name", "file"), NAMED)
def test_every_function_that_the_page_names_is_in_its_file(name: str, file: str) -> None:
    path = find_path(file)

    assert path.exists(), file
    assert name in set(names_in(path)), f"{file} has no {name}: correct docs/architecture.md"


def test_every_file_that_the_page_names_exists() -> None:
    named = {name for name in codes(TEXT) if re.fullmatch(r"[\w./-]*(?:\.py|\w/)", name)}
    drawn = re.findall(r"[\w/]+\.py|\b[a-z]+/(?=\s)", "".join(re.findall(r"```text\n(.*?)```", TEXT, re.S)))

    assert drawn
    assert [name for name in {*named, *drawn} if not find_path(name).exists()] == []


@pytest.mark.parametrize(("head", "root"), [("layer", "alertd"), ("layer of `core/`", "alertd.core")])
def test_the_layers_of_the_page_are_those_of_the_contract(head: str, root: str) -> None:
    (told,) = (table for table in tables(TEXT) if table.head[0] == head)
    (held,) = (one for one in CONTRACTS if one["type"] == "layers" and one["containers"] == [root])

    assert [row[0].strip("`").replace(r"\|", "|") for row in told.rows] == held["layers"]
