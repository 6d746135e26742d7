"""What a YAML file is made of here: mappings, lists and texts, each of which knows its place.

Every scalar is the text that stands in the file: `no` is not false, and 2026-09 is neither a date nor a sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# Not frozen and not keyword-only, unlike other values: a large configuration makes millions of them.


@dataclass(slots=True)
class Scalar:
    """A text.

    Attributes:
        line, column: where it begins, counted from 1; a quoted one begins at its quote.
        lead: how many characters stand before the text's first: 1 for a quote; None when characters of the
            text are not at one distance from its beginning (escapes, several lines).
        is_plain: without quotes, and not a block.
        is_literal: a block whose lines are those of the file, from the one after ``line`` on.
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
    """Keys and values, in the order of the file; no key is there twice."""

    line: int
    column: int
    keys: dict[str, Scalar] = field(default_factory=dict)
    values: dict[str, Node] = field(default_factory=dict)

    def entries(self) -> Iterator[tuple[Scalar, Node]]:
        return zip(self.keys.values(), self.values.values(), strict=True)


@dataclass(slots=True)
class ValueRefused:
    """Where something stood that has a problem already, so that nothing more needs to be said of it."""

    line: int
    column: int


Node = Scalar | Sequence | Mapping | ValueRefused
