"""Take values out of nodes, strictly, and write down what is wrong instead of stopping there.

Each method gives the value, or None after it has written down a problem (or when one was written down
before): so one reading finds every problem of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from alertd.core.config import Problem
from alertd.definitions.reading.keys import MAX_ITEMS, Shape
from alertd.definitions.reading.nodes import Mapping, Node, Scalar, Sequence, ValueRefused
from alertd.definitions.reading.yaml import UNSEEN, UNSEEN_OR_BREAK, name_of
from alertd.errors import ParseError

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_FLAGS = {"true": True, "false": False}
_LIKE_FLAGS = {
    **dict.fromkeys(("yes", "on", "y", "1"), "true"),
    **dict.fromkeys(("no", "off", "n", "0"), "false"),
}
_KINDS = {Scalar: "a text", Sequence: "a list", Mapping: "a mapping"}
_NAMED_AT_MOST = 12
_NEAR_MAX = 100
MAX_PROBLEMS = 100
"""Problems of one file; after so many it is not read on."""


class TooManyProblems(Exception):
    """A file has so many problems that it is not read on."""


class Reader:
    """Reads the nodes of one file and collects its problems; raises Enough when they are too many."""

    def __init__(self, file: str, find: Callable[[str], Path] | None = None) -> None:
        self.file = file
        self.find = find
        """Where a file is that this one names; None: it cannot be looked at."""
        self.problems: list[Problem] = []

    def refuse(self, node: Node, message: str, offset: int | None = None) -> None:
        """Write down a problem at a node, or at ``offset`` in its text when that has a place."""
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems
        column = node.column
        if offset and isinstance(node, Scalar) and node.lead is not None:
            column += node.lead + offset
        self.problems.append(Problem(file=self.file, line=node.line, column=column, message=message))

    def mapping(self, node: Node, shape: Shape) -> dict[str, Node] | None:
        """The values of a mapping by key, those of unknown keys left out."""
        if not isinstance(node, Mapping):
            self._refuse_kind(node, f"{shape.words} is a mapping of {listing(shape.keys)}")
            return None
        known = shape.keys
        values = node.values
        if not shape.is_open and not known.keys() >= values.keys():
            for key, scalar in node.keys.items():
                if key not in known:
                    advice = near(key, known) or f"it has {listing(known)}"
                    self.refuse(scalar, f"{shown(key)}: no such key in {shape.words}; {advice}")
            values = {key: value for key, value in values.items() if key in known}
        for name, key_of in known.items():
            if key_of.required and name not in values:
                self.refuse(node, f"{shape.words} needs {name}")
        return values

    def named(self, node: Node, what: str, limit: int = MAX_ITEMS) -> Iterable[tuple[Scalar, Node]]:
        """The entries of a mapping whose keys people choose."""
        if not isinstance(node, Mapping):
            self._refuse_kind(node, f"{what} are a mapping from names to values")
            return ()
        if len(node.keys) > limit:
            self.refuse(node, f"{len(node.keys)} {what}; at most {limit:,} are taken")
            return ()
        return node.entries()

    def items(self, node: Node, what: str, limit: int = MAX_ITEMS) -> list[Node]:
        """The items of a list."""
        if not isinstance(node, Sequence):
            advice = "write a list"
            if isinstance(node, Scalar) and node.text.isprintable() and len(node.text) <= 40:
                advice = f"write [{node.text}]"
            self._refuse_kind(node, f"{what} are a list", advice)
            return []
        if len(node.items) > limit:
            self.refuse(node, f"{len(node.items)} {what}; at most {limit:,} are taken")
            return []
        return node.items

    def text(self, node: Node, limit: int, *, lines: bool = False) -> str | None:
        """A text of one line, or of several, without anything that can't be seen."""
        if not isinstance(node, Scalar):
            self._refuse_kind(node, "a text is wanted here")
            return None
        value = node.text.strip() if not node.is_plain else node.text
        if not value:
            self.refuse(node, "nothing is here; write a value, or leave the key out")
            return None
        if len(value) > limit:
            self.refuse(node, f"{len(value):,} characters; at most {limit:,} are taken")
            return None
        unseen = (UNSEEN if lines else UNSEEN_OR_BREAK).search(value)
        if unseen is not None:
            self.refuse(node, f"{name_of(unseen[0])} in a text{'' if lines else ' of one line'}; remove it")
            return None
        return value

    def flag(self, node: Node) -> bool | None:
        value = self.text(node, 100)
        if value is None:
            return None
        flag = _FLAGS.get(value)
        if flag is None:
            meant = _LIKE_FLAGS.get(value.lower(), value.lower())
            advice = f"write {meant}" if meant in _FLAGS else "write true or false"
            self.refuse(node, f"{shown(value)}: neither true nor false; {advice}")
        return flag

    def integer(self, node: Node, least: int, most: int) -> int | None:
        value = self.text(node, 100)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
            self.refuse(node, f"{shown(value)}: not a whole number from {least} to {most}")
            return None
        return int(value)

    def choice(self, node: Node, choices: type[E]) -> E | None:
        """One of an enum's values."""
        return self.one_of(node, {str(choice): choice for choice in choices}, "")

    def one_of(self, node: Node, known: dict[str, T], what: str) -> T | None:
        """What stands under a name; ``what`` says what the name should be of, for the problem."""
        name = self.text(node, 300)
        if name is None:
            return None
        if name in known:
            return known[name]
        reason = f"no such {what}" if what else "not a value of this key"
        advice = near(name, known) or (f"there is {listing(known)}" if known else "there is none")
        self.refuse(node, f"{shown(name)}: {reason}; {advice}")
        return None

    def parsed(self, node: Node, parse: Callable[[str], T], limit: int = 2_000) -> T | None:
        """What a parser of the core makes of a text."""
        text = self.text(node, limit)
        if text is None:
            return None
        try:
            return parse(text)
        except ParseError as error:
            self.refuse(node, str(error), error.offset)
            return None

    def _refuse_kind(self, node: Node, wanted: str, advice: str = "") -> None:
        if isinstance(node, ValueRefused):
            return
        is_empty = isinstance(node, Scalar) and not node.text and node.is_plain
        found = "nothing is here" if is_empty else f"{_KINDS[type(node)]} is here"
        self.refuse(node, f"{found}; {wanted}" + (f": {advice}" if advice and not is_empty else ""))


def near(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as advice; "" when none is near."""
    names = list(known)
    lowered = {one.lower(): one for one in names}
    folded = name.lower().replace("-", "_") if name.lower() not in lowered else name.lower()
    if folded in lowered:
        return f"did you mean {lowered[folded]}?"
    found = get_close_matches(name[:_NEAR_MAX].lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean {lowered[found[0]]}?" if found else ""


def listing(names: Iterable[str]) -> str:
    """``a, b and c``; a long list is cut."""
    all_names = list(names)
    if len(all_names) > _NAMED_AT_MOST:
        return ", ".join(all_names[:_NAMED_AT_MOST]) + f" and {len(all_names) - _NAMED_AT_MOST} more"
    return " and ".join(filter(None, (", ".join(all_names[:-1]), all_names[-1])))


def shown(text: str) -> str:
    """A text in a problem, as errors of the core show theirs."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
