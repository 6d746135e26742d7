"""Read the YAML that nearly all files use into plain values, without positions and several times faster.

The reader knows block mappings and lists, and one-line values: plain, in quotes without escapes, or a flow
mapping or list, which may contain flow mappings of such values. A value of another form, such as a block of
text, goes to the careful reader in :mod:`yaml`, together with its lines. A text that this reader does not
know for certain to be free of problems is left to the careful reader as a whole, which finds out what is
wrong and where.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from alertd.definitions.reading.nodes import Mapping, Node, Scalar, Sequence
from alertd.definitions.reading.yaml import MAX_NODES, UNSEEN_OR_TAB, read_yaml

Plain = str | list["Plain"] | dict[str, "Plain"]
"""A value of a file. A text is as written, and without surrounding space if it is not a plain scalar."""

_MAX_NESTING = 8
"""How deeply the lines, and the values of one line, are nested at most; together less than the limit of
:mod:`yaml`."""


class Unsure(Exception):
    """Something may be wrong. The careful reader has to find out."""


# No two quantifiers can compete for the same characters, so a match takes linear time. Those of single
# characters are possessive. Those of groups are not: Python 3.11.2 then matches wrongly (CPython issue
# 101955).
_KEY = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}+"
_START = r"""[^ \-?:,\[\]{}#&*!|>'"%@`]"""  # no indicator (YAML 1.2.2, section 5.3)
_PLAIN = rf"{_START}[^:#]*+(?:(?::(?! |\Z)|(?<! )#)[^:#]*+)*"
_FLOW_VALUE = rf"""(?:{_START}[^,\[\]{{}}:#?]*+|"[^"\\]*+" *+|'[^']*+' *+)"""
_FLAT_LIST = rf"\[ *+(?:{_FLOW_VALUE}(?:, *+{_FLOW_VALUE})*)?\] *+"
_FLAT_PAIR = rf"{_KEY}: ++(?:{_FLOW_VALUE}|{_FLAT_LIST})"
_FLAT_MAPPING = rf"\{{ *+(?:{_FLAT_PAIR}(?:, *+{_FLAT_PAIR})*)?\}} *+"
_FLOW_ITEM = rf"(?:{_FLOW_VALUE}|{_FLAT_MAPPING})"
_FLOW_LIST = rf"\[ *+(?:{_FLOW_ITEM}(?:, *+{_FLOW_ITEM})*)?\] *+"
_PAIR_VALUE = rf"(?:{_FLOW_VALUE}|{_FLAT_MAPPING}|{_FLOW_LIST})"
_PAIR = rf"{_KEY}: ++{_PAIR_VALUE}"
_FLOW_MAPPING = rf"\{{ *+(?:{_PAIR}(?:, *+{_PAIR})*)?\}} *+"
_OTHER = rf""""[^"\\]*+" *+|'[^']*+' *+|{_FLOW_LIST}|{_FLOW_MAPPING}"""
# 1 and 2: the indentation, and the dash of an item; 3: the key; 4: a plain value; 5: another one. At the end
# there may be a comment.
_LINE = re.compile(rf"( *+)(- ++)?(?:({_KEY}):(?: ++|\Z))?(?:({_PLAIN})|({_OTHER}))?(?:(?<= )#.*+)?")
_HEAD = re.compile(rf"( *+)(- ++)?({_KEY}):(?: .*+)?")
_FIRST_PAIR = re.compile(rf"({_KEY}): ++({_PAIR_VALUE})")
_FIRST_ITEM = re.compile(_FLOW_ITEM)


class _Line(NamedTuple):
    """What one line holds.

    Attributes:
        column: the column of the key, or of the value if there is no key; -1 if the line holds nothing.
        dash: the column of the dash of an item; -1 if there is none.
        key: None if the line has no key.
        value: None if the value is in the lines that follow, or only the careful reader can read it.
        is_open: whether the value is in the lines that follow.
    """

    column: int
    dash: int
    key: str | None
    value: Plain | None
    is_open: bool


_BLANK = _Line(-1, -1, None, None, False)


def read_lines(text: str) -> dict[str, Plain]:
    """Return the mapping that a YAML document holds.

    Raises:
        Unsure: the document may have a problem, or has a form that only the careful reader knows.
    """
    text = text.replace("\r\n", "\n")
    if not text.replace("\n", "").isprintable() and UNSEEN_OR_TAB.search(text):
        raise Unsure
    values_at_most = 3 * sum(map(text.count, "\n,{[")) + 4
    if values_at_most > MAX_NODES:
        raise Unsure
    lines = text.split("\n")
    if lines[0] == "---":
        lines[0] = ""
    return _Document(lines).read()


class _Document:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        known: dict[str, _Line] = {}  # many lines of a file are the same, such as the name of a source
        self._found = [known.get(line) or known.setdefault(line, _read_line(line)) for line in lines]
        self._next = 0

    def read(self) -> dict[str, Plain]:
        root = self._read_mapping(0, 1)
        if not root or self._next < len(self._lines):
            raise Unsure
        return root

    def _read_mapping(self, column: int, nesting: int) -> dict[str, Plain]:
        """Read the mapping whose keys are in ``column``. The first key can follow the dash of an item."""
        if nesting > _MAX_NESTING:
            raise Unsure
        found, number, end = self._found, self._next, len(self._found)
        read: dict[str, Plain] = {}
        last = -1  # the number of the line before, if it holds a key and its value
        while number < end:
            at, dash, key, value, is_open = found[number]
            if at < 0:
                number += 1
                continue
            if at != column or (dash >= 0 and read):
                if (at if dash < 0 else dash) < column:
                    break
                if last < 0:
                    raise Unsure
                name = next(reversed(read))  # the value of the line before goes on in this line
                read[name] = self._read_carefully(last, column, name)
                number, last = self._next, -1
                continue
            if key is None or key in read:
                raise Unsure
            if value is not None:
                read[key] = value
                last = number
                number += 1
                continue
            self._next = number + 1
            read[key] = (
                self._read_block(column, nesting + 1)
                if is_open
                else self._read_carefully(number, column, key)
            )
            number, last = self._next, -1
        self._next = number
        return read

    def _read_block(self, column: int, nesting: int) -> Plain:
        """Read the mapping or list that is the value of a key in ``column``."""
        found, number = self._found, self._next
        while number < len(found) and found[number].column < 0:
            number += 1
        self._next = number
        if number == len(found):
            raise Unsure  # no value
        line = found[number]
        if line.dash >= column:
            return self._read_list(line.dash, nesting)
        if line.dash < 0 and line.column > column:
            return self._read_mapping(line.column, nesting)
        raise Unsure  # no value, or an item of a list further left

    def _read_list(self, column: int, nesting: int) -> list[Plain]:
        """Read the list whose dashes are in ``column``."""
        if nesting > _MAX_NESTING:
            raise Unsure
        found = self._found
        items: list[Plain] = []
        while self._next < len(found):
            line = found[self._next]
            if line.column < 0:
                self._next += 1
            elif line.dash != column:
                break
            elif line.key is not None:
                items.append(self._read_mapping(line.column, nesting + 1))
            elif line.value is not None:
                items.append(line.value)
                self._next += 1
            else:
                raise Unsure
        return items

    def _read_carefully(self, number: int, column: int, key: str) -> Plain:
        """Read the value of a key in ``column`` with all lines further right that follow."""
        lines = self._lines
        end = number + 1
        while end < len(lines) and (not lines[end].strip(" ") or _count_spaces(lines[end]) > column):
            end += 1
        self._next = end
        first = " " * column + lines[number][column:]  # without the dash of an item
        node, problems = read_yaml("\n".join((first, *lines[number + 1 : end], "")), "")
        if problems or not isinstance(node, Mapping) or list(node.values) != [key]:
            raise Unsure
        return make_plain(node.values[key])


def _read_line(line: str) -> _Line:
    bare = line.lstrip(" ")
    if not bare or bare[0] == "#":
        return _BLANK
    match = _LINE.fullmatch(line)
    value: Plain | None = None
    is_open = False
    if match is not None:
        plain, other = match.group(4, 5)
        if plain is not None:
            value = plain.rstrip(" ")
        elif other is not None:
            value = _read_value(other)
        else:
            is_open = True
    else:
        match = _HEAD.fullmatch(line)
    if match is None:
        return _Line(len(line) - len(bare), -1, None, None, False)
    item, key = match.group(2, 3)
    if item is not None:
        return _Line(match.end(2), match.end(1), key, value, is_open)
    return _Line(match.end(1), -1, key, value if key else None, is_open)


def _read_value(text: str) -> Plain | None:
    """Read a value of one line; None if the careful reader has to."""
    match text[0]:
        case "{":
            pairs = _FIRST_PAIR.findall(text)
            values = {key: value for key, written in pairs if (value := _read_value(written)) is not None}
            return values if len(values) == len(pairs) else None
        case "[":
            written = _FIRST_ITEM.findall(text, 1)
            items = [item for value in written if (item := _read_value(value)) is not None]
            return items if len(items) == len(written) else None
        case '"' | "'":
            return text.rstrip(" ")[1:-1].strip() or None
        case _:
            return text.rstrip(" ")


def make_plain(node: Node) -> Plain:
    """Return the values of a node that has no problem.

    Raises:
        Unsure: a text is empty or has an invisible character, or the nesting is deep.
    """
    return _make_plain(node, 1)


def _make_plain(node: Node, nesting: int) -> Plain:
    if isinstance(node, Scalar):
        text = node.text if node.is_plain else node.text.strip()
        if not text or UNSEEN_OR_TAB.search(text):
            raise Unsure
        return text
    if nesting > _MAX_NESTING:
        raise Unsure
    if isinstance(node, Sequence):
        return [_make_plain(item, nesting + 1) for item in node.items]
    if isinstance(node, Mapping):
        return {key: _make_plain(value, nesting + 1) for key, value in node.values.items()}
    raise Unsure


def make_node(value: Plain) -> Node:
    """Return a node without a position for a value."""
    match value:
        case str():
            return Scalar(value, 0, 0)
        case list():
            return Sequence(0, 0, [make_node(item) for item in value])
        case dict():
            keys = {key: Scalar(key, 0, 0) for key in value}
            return Mapping(0, 0, keys, {key: make_node(item) for key, item in value.items()})


def _count_spaces(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
