"""Edits the text of a timeline's file: changes values of a claim and adds a source, and keeps the rest."""

from __future__ import annotations

from collections.abc import Mapping as Map

from alertd.definitions.reading.nodes import Mapping, Node, Scalar, Sequence
from alertd.definitions.reading.yaml import read_yaml

Words = Map[str, str]


class CannotEdit(ValueError):
    """The file's layout is not one that this module can edit."""


def restate_claim(text: str, milestone: str, source: str, claim: Words, new_source: str) -> str:
    """Return ``text`` with values of a claim replaced and a source added at the top of the sources.

    Args:
        milestone: the milestone's id within the timeline.
        source: the id of the claim's source; it identifies the claim.
        claim: the new values by key. Keys that the claim lacks are ignored.
        new_source: the line to add, such as ``id: {who: ...}``.

    Raises:
        CannotEdit: the claim does not exist, or a value is quoted or spans several lines.
    """
    root, _ = read_yaml(text, "timeline")
    document = _require_mapping(root)
    found = _find_claim(document, milestone, source)
    sources = _require_mapping(document.values.get("sources"))
    lines = text.splitlines(keepends=True)
    places = [
        (_plain_text(found.values[key]), found.values[key], word)
        for key, word in claim.items()
        if key in found.values
    ]
    # The last value is replaced first, so that the columns of the earlier values stay valid.
    for old, node, word in sorted(places, key=lambda place: (place[1].line, place[1].column), reverse=True):
        row, column = node.line - 1, node.column - 1
        if not lines[row][column:].startswith(old):
            raise CannotEdit(f"line {node.line}: {old!r} is not written in plain words")
        lines[row] = lines[row][:column] + word + lines[row][column + len(old) :]
    lines.insert(sources.line - 1, " " * (sources.column - 1) + new_source + "\n")
    return "".join(lines)


def diff_lines(before: str, after: str) -> list[str]:
    """Return removed lines after ``- `` and added lines after ``+ ``, without indentation and list dashes."""
    import difflib

    marked = difflib.ndiff(before.splitlines(), after.splitlines())
    return [f"{line[0]} {line[2:].strip().removeprefix('- ')}" for line in marked if line[:2] in ("- ", "+ ")]


def _find_claim(document: Mapping, milestone: str, source: str) -> Mapping:
    for definition in _list_mappings(document.values.get("milestones")):
        if _get_text(definition, "id") == milestone:
            for claim in _list_mappings(definition.values.get("claims")):
                if _get_text(claim, "source") == source:
                    return claim
    raise CannotEdit(f"no claim of {source} about {milestone}")


def _list_mappings(node: Node | None) -> list[Mapping]:
    return [item for item in node.items if isinstance(item, Mapping)] if isinstance(node, Sequence) else []


def _get_text(mapping: Mapping, key: str) -> str:
    node = mapping.values.get(key)
    return node.text if isinstance(node, Scalar) else ""


def _require_mapping(node: Node | None) -> Mapping:
    if not isinstance(node, Mapping):
        raise CannotEdit("a mapping is missing")
    return node


def _plain_text(node: Node) -> str:
    if not isinstance(node, Scalar) or not node.is_plain:
        raise CannotEdit(f"line {node.line}: not plain words")
    return node.text
