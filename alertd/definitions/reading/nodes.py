"""Represent a YAML document as mappings, lists and texts, each with its line and column.

A scalar is always the text in the file: `no` is not false, and 2026-09-30 is not a date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# Unlike other dataclasses here, these are not frozen and not keyword-only. Such objects are created faster,
# and a large configuration has millions of nodes.


@dataclass(slots=True)
class Scalar:
    """A text.

    Attributes:
        line: the line of its first character, counted from 1.
        column: the column of its first character, counted from 1. A quoted text starts at its quote.
        lead: the number of characters in the file before the first character of ``text``: 1 for a quote. None
            if an offset in ``text`` does not give a column (escapes, several lines).
        is_plain: whether it is a plain scalar: not quoted and not a block (YAML 1.2.2, section 7.3.3).
        is_literal: whether it is a literal block, whose lines start in the line after ``line`` (section
            8.1.2).
    """

    text: str
    line: int
    column: int
    lead: int | None = 0
    is_plain: bool = True
    is_literal: bool = False


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Unique keys and their values, in the order of the file."""

    line: int
    column: int
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, Node] = field(default_factory=dict)

    def entries(self) -> Iterator[tuple[Scalar, Node]]:
        """Return the keys with their values."""
        return zip(self.keys.values(), self.values.values(), strict=True)


@dataclass(slots=True)
class ValueRefused:
    """A node that has a problem already. No further problem is reported for this node."""

    line: int
    column: int


Node = Scalar | Sequence | Mapping | ValueRefused
