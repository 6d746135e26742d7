"""The statements in docs/reference/web.md and docs/security.md about the web server are true."""

import re
from pathlib import Path

from alertd.web.routes import list_routes
from alertd.web.server.access import find_scope
from tests.docs_pages import ROOT, codes, prose, section, tables


def test_every_path_is_documented_with_its_scope() -> None:
    (table,) = tables(section("web.md", "What it answers"))

    told = {path: scope for paths, scope, _ in table.rows for path in codes(paths)}

    real = {route.path: find_scope(route.endpoint) for route in list_routes()}
    assert set(told) == set(real)
    for path, scope in real.items():
        assert scope is not None
        # The handler of /metrics checks a scope itself, as the configuration requires.
        assert told[path] == ("none" if scope.word == "public" else scope.word) or path == "/metrics"


def test_every_test_that_security_rests_on_exists() -> None:
    page = prose(ROOT / "docs/security.md")
    told = set(re.findall(r"`(test_\w+)`", page))

    written = "".join(path.read_text() for path in Path(ROOT, "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)", written))
    assert len(told) > 30
    assert told <= there


def test_every_requirement_is_numbered_once() -> None:
    found = [table for table in tables(prose(ROOT / "docs/security.md")) if table.head[0] == "requirement"]
    numbers = [
        number for table in found for row in table.rows for number in re.findall(r"\d+\.\d+\.\d+", row[0])
    ]

    assert len(found) == 2
    assert len(numbers) == len(set(numbers)) > 40
