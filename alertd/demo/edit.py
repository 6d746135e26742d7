"""Edits the timeline's file as somebody with an editor would: one claim's words, and a source for them."""

from __future__ import annotations

from collections.abc import Mapping as Map

from alertd.definitions.reading.nodes import Mapping, Node, Scalar, Sequence
from alertd.definitions.reading.yaml import read_yaml

Words = Map[str, str]


class CannotEdit(ValueError):
    """The file is not laid out as this editor expects."""


def restated(text: str, milestone: str, source: str, claim: Words, new_source: str) -> str:
    """``text`` with some words of one claim replaced, and a source added above the others.

    Args:
        milestone: its id within the timeline.
        source: the claim is the one that names this source.
        claim: by key, what to write instead of what stands there; keys that it lacks are left out.
        new_source: one line, ``id: {who: ...}``.

    Raises:
        CannotEdit: there is no such claim, or it is not written in plain words on one line each.
    """
    root, _ = read_yaml(text, "timeline")
    document = _mapping(root)
    found = _claim(document, milestone, source)
    sources = _mapping(document.values.get("sources"))
    lines = text.splitlines(keepends=True)
    places = [
        (_plain(found.values[key]), found.values[key], word)
        for key, word in claim.items()
        if key in found.values
    ]
    # From the end to the beginning, so that no place is moved by what was written before it.
    for old, node, word in sorted(places, key=lambda place: (place[1].line, place[1].column), reverse=True):
        row, column = node.line - 1, node.column - 1
        if not lines[row][column:].startswith(old):
            raise CannotEdit(f"line {node.line}: {old!r} is not written in plain words")
        lines[row] = lines[row][:column] + word + lines[row][column + len(old) :]
    lines.insert(sources.line - 1, " " * (sources.column - 1) + new_source + "\n")
    return "".join(lines)


def changed_lines(before: str, after: str) -> list[str]:
    """Lines that went, after ``- ``, and lines that came, after ``+ ``; without indent and list dash."""
    import difflib

    marked = difflib.ndiff(before.splitlines(), after.splitlines())
    return [f"{line[0]} {line[2:].strip().removeprefix('- ')}" for line in marked if line[:2] in ("- ", "+ ")]


def _claim(document: Mapping, milestone: str, source: str) -> Mapping:
    for one in _items(document.values.get("milestones")):
        if _word(one, "id") == milestone:
            for claim in _items(one.values.get("claims")):
                if _word(claim, "source") == source:
                    return claim
    raise CannotEdit(f"no claim of {source} about {milestone}")


def _items(node: Node | None) -> list[Mapping]:
    return [one for one in node.items if isinstance(one, Mapping)] if isinstance(node, Sequence) else []


def _word(mapping: Mapping, key: str) -> str:
    node = mapping.values.get(key)
    return node.text if isinstance(node, Scalar) else ""


def _mapping(node: Node | None) -> Mapping:
    if not isinstance(node, Mapping):
        raise CannotEdit("a mapping is missing")
    return node


def _plain(node: Node) -> str:
    if not isinstance(node, Scalar) or not node.is_plain:
        raise CannotEdit(f"line {node.line}: not plain words")
    return node.text
