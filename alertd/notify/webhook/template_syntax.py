"""Restricts templates to an allow-list of Jinja2's syntax, so that new syntax of Jinja2 is refused too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from math import isfinite

from jinja2 import nodes

from alertd.errors import AlertdError

MAX_LOOPS = 3
"""The deepest nesting of loops: milestones, their claims, and the claims' accounts."""

MAX_PARTS = 200
"""The most texts that all ``~`` operators of a template may join."""

VARIABLES = frozenset(
    {
        "version", "type", "timestamp", "id", "composed", "receiver", "channel", "subject", "intro", "page",
        "lines", "items", "text",
    }
)  # fmt: skip
"""The values that a template may use: the body of format ``alertd``, with the keys of its ``data`` at the top
level, and the message as plain text."""

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Tuple,
    nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.CondExpr,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Keyword,
)  # fmt: skip
_WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Call: "a call",
    nodes.CallBlock: "{% call %}",
    nodes.Assign: "{% set %}",
    nodes.AssignBlock: "{% set %}",
    nodes.Macro: "{% macro %}",
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
    nodes.FilterBlock: "{% filter %}",
    nodes.With: "{% with %}",
    nodes.Scope: "{% autoescape %}",
    nodes.BinExpr: "arithmetic",
    nodes.UnaryExpr: "arithmetic",
    nodes.Slice: "a slice",
    nodes.Dict: "a mapping",
}


class SyntaxRefusal(AlertdError):
    """A template uses something that is not allowed. ``line`` is the line in the template, from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def check_syntax(tree: nodes.Template, filters: Collection[str], tests: Collection[str]) -> None:
    """Raise Refusal at the first construct that a template must not use."""
    _check(tree, VARIABLES, 0, filters, tests)
    parts = sum(len(joined.nodes) for joined in tree.find_all(nodes.Concat))
    if parts > MAX_PARTS:
        raise SyntaxRefusal(1, f"{parts} texts joined by ~; at most {MAX_PARTS} are taken")


def check_quotes(tokens: Iterable[tuple[int, str, str]]) -> None:
    """Raise Refusal for a value between quotes: alertd inserts values as JSON, with their own quotes."""
    inside, escaped = False, False
    for line, kind, text in tokens:
        if kind == "variable_begin" and inside:
            raise SyntaxRefusal(
                line,
                "a value between quotes: it brings its own; "
                'leave them out, and join texts as {{ "Due: " ~ subject }}',
            )
        if kind != "data":
            continue
        for letter in text:
            if escaped:
                escaped = False
            elif inside and letter == "\\":
                escaped = True
            elif letter == '"':
                inside = not inside


def _check(
    node: nodes.Node, names: frozenset[str], loops: int, filters: Collection[str], tests: Collection[str]
) -> None:
    _check_one(node, names, loops, filters, tests)
    if not isinstance(node, nodes.For):
        for child in node.iter_child_nodes():
            _check(child, names, loops, filters, tests)
        return
    _check(node.iter, names, loops, filters, tests)
    targets = frozenset(
        target.name
        for target in (node.target, *node.target.find_all(nodes.Name))
        if isinstance(target, nodes.Name)
    )
    for name in targets:
        if name.startswith("_"):
            raise SyntaxRefusal(node.lineno, f"{name}: a name begins with a letter")
    inner = names | targets | {"loop"}
    for child in (*node.body, *((node.test,) if node.test else ())):
        _check(child, inner, loops + 1, filters, tests)
    for child in node.else_:
        _check(child, names, loops, filters, tests)


def _check_one(
    node: nodes.Node, names: frozenset[str], loops: int, filters: Collection[str], tests: Collection[str]
) -> None:
    line = node.lineno or 1
    if not isinstance(node, _ALLOWED):
        words = next((words for kind, words in _WORDS.items() if isinstance(node, kind)), "this")
        raise SyntaxRefusal(line, f"{words}: not allowed; a template has values, if, for and filters")
    match node:
        case nodes.For() if node.recursive:
            raise SyntaxRefusal(line, "a recursive loop: not allowed")
        case nodes.For() if loops >= MAX_LOOPS:
            raise SyntaxRefusal(line, f"a loop in {MAX_LOOPS} loops: at most {MAX_LOOPS} may be nested")
        case nodes.Const(value=float(number)) if not isfinite(number):
            # Jinja2 would compile the number to the name inf, which does not exist.
            raise SyntaxRefusal(line, "a number that is too large")
        case nodes.Name(name=name) if name not in names:
            raise SyntaxRefusal(line, f"{name}: no such value; {_near(name, names)}")
        case nodes.Filter(name=name) if name not in filters:
            raise SyntaxRefusal(line, f"|{name}: no such filter; {_near(name, filters)}")
        case nodes.Filter() if node.dyn_args or node.dyn_kwargs:
            raise SyntaxRefusal(line, "*: not allowed; write the arguments out")
        case nodes.Test(name=name) if name not in tests:
            raise SyntaxRefusal(line, f"is {name}: no such test; {_near(name, tests)}")
        case _:
            return


def _near(name: str, known: Collection[str]) -> str:
    found = get_close_matches(name[:100], known, n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else f"there are {', '.join(sorted(known))}"
