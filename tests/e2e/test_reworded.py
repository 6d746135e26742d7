"""No decision depends on a sentence: with nonsense in place of sentences, alertd decides the same."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nonsense import KEPT, PLANTED, PLANTS

pytestmark = [pytest.mark.server, pytest.mark.long]

ROOT = Path(__file__).parents[2]
SUITES = (
    "tests/core/test_plan.py",
    "tests/core/test_route.py",
    "tests/core/test_delivery.py",
    "tests/core/test_delivery_ids.py",
    "tests/core/test_occurrence.py",
    "tests/engine/test_reconcile.py",
    "tests/engine/test_reconcile_moves.py",
    "tests/engine/test_reconcile_waits.py",
    "tests/engine/test_dispatch.py",
    "tests/engine/test_digests.py",
)
AT_LEAST = 200
"""The least number of tests without wording. Fewer would mean that too many are marked ``wording``."""


def run_suites(*files: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the tests that do not check wording in a separate process with the plugin."""
    wanted = (
        "-m",
        "not wording",
        "-k",
        "not sql and not 10000",
        "-p",
        "tests.nonsense_plugin",
        "-p",
        "no:cacheprovider",
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "--tb=short", *wanted, *files],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_decisions_are_the_same_without_a_sentence() -> None:
    """The tests of plans, reconciliation, dispatch and digests pass if every sentence is nonsense."""
    ran = run_suites(*SUITES)

    assert ran.returncode == 0, ran.stdout[-4000:]
    passed = re.search(r"([0-9]+) passed", ran.stdout)
    assert passed is not None
    assert int(passed[1]) >= AT_LEAST


CAUGHT_BY = {
    "prefix": "tests/engine/test_reconcile_waits.py",
    "equality": "tests/engine/test_reconcile_moves.py",
}


@pytest.mark.parametrize("planted", PLANTS)
def test_a_decision_by_a_sentence_is_found(planted: str) -> None:
    """A decision that compares a sentence passes with the current sentences, and fails without them."""
    by_words = run_suites(CAUGHT_BY[planted], **{PLANTED: planted, KEPT: "1"})
    without = run_suites(CAUGHT_BY[planted], **{PLANTED: planted})

    assert by_words.returncode == 0, by_words.stdout[-4000:]
    assert without.returncode == 1, without.stdout[-4000:]


EXPLAINED = (
    ("iraq-coalition-withdrawal/phase-1", "2025-10-04T12:00"),
    ("iraq-coalition-withdrawal/phase-2", "2026-09-30T12:00"),
)
WORDS = frozenset({"phrase", "status", "note", "derived", "reason", "muted_by", "from"})
"""The members of the JSON of ``alertd explain`` whose values are words."""

_EXPLAIN = """
import sys
import tests.nonsense_plugin
from alertd.cli import make_app
make_app()(sys.argv[1:])
"""


@pytest.mark.parametrize(("milestone", "at"), EXPLAINED)
def test_an_explanation_is_the_same_without_a_sentence(milestone: str, at: str) -> None:
    """All facts of ``alertd explain`` except the words are the same."""
    plain, reworded = (explained(milestone, at, **env) for env in ({KEPT: "1"}, {}))

    assert facts_of(reworded) == facts_of(plain)
    assert reworded != plain


def explained(milestone: str, at: str, **env: str) -> Any:
    asked = ("explain", milestone, "--config", "config", "--at", at, "--format", "json", "--no-ledger")
    ran = subprocess.run(
        [sys.executable, "-c", _EXPLAIN, *asked],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def facts_of(value: Any) -> Any:
    match value:
        case dict():
            return {name: facts_of(member) for name, member in value.items() if name not in WORDS}
        case list():
            return [facts_of(member) for member in value]
        case _:
            return value


READS = frozenset({
    "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit",
    "find", "rfind", "index", "rindex", "replace", "count",
})  # fmt: skip
"""Methods of a text whose argument is looked for in it."""

A_SENTENCE = re.compile(r"[A-Za-z]{2,}[,:;]? +[A-Za-z(]|[a-z]: |[a-z] $|^ [a-z(]|^: $|^; $")
"""Matches two words, the beginning or the end of a sentence, and a separator of clauses."""

READERS = {
    "alertd/store/migrations/versions/r0004_reasons.py": "reads the sentences of old ledgers, once",
    "alertd/definitions/reading/yaml.py": "reads what PyYAML says, which has no codes",
    "alertd/core/ledger/moves.py": "reads the lists that a history entry keeps",
    "alertd/web/feeds/atom.py": "reads the list of phrases that a history entry keeps",
    "alertd/web/pages/milestone.py": "reads the list of phrases that a history entry keeps",
    "alertd/core/message/headlines.py": "leaves out the preposition in `moved from September 2026`",
}
"""Modules that may look into a sentence, and why."""


def test_no_module_looks_into_a_sentence() -> None:
    """No module compares a sentence, tests its beginning or end, splits it or searches it."""
    found = [
        f"{path}:{line}: {text!r}"
        for path in sorted(ROOT.glob("alertd/**/*.py"))
        if path.relative_to(ROOT).as_posix() not in READERS
        for line, text in looked_for(ast.parse(path.read_text()))
        if A_SENTENCE.search(text)
    ]

    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'reason == "the deadline moved"',
        'PREFIX = "stopped: "\nreason.startswith(PREFIX)',
        'name = reason.removeprefix("muted by ")',
        'kind, _, name = text.partition(": ")',
        '"damping time" in reason',
        'text.startswith(("snoozed by ", "acknowledged"))',
        'one.startswith(f"{name}: ")',
    ],
)
def test_a_module_that_looks_into_a_sentence_is_found(code: str) -> None:
    assert any(A_SENTENCE.search(text) for _, text in looked_for(ast.parse(code)))


def looked_for(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the texts that a module compares with others or searches for in them, with their lines."""
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READS:
            asked = node.args[:1]
        for expression in asked:
            for text in _texts(expression, constants):
                yield expression.lineno, text


def _texts(node: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                yield from _texts(part, constants)
        case ast.JoinedStr(values=values):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in values)
        case ast.Name(id=name) if name in constants:
            yield constants[name]
