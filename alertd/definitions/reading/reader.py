"""Read values from nodes and collect the problems of a file.

Each method returns the value, or None after it has recorded a problem. It also returns None for a node that
has a problem already. Reading continues after a problem, so all problems of a file are reported together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Mapping as AnyMapping
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from alertd.core.config import Problem
from alertd.definitions.reading.keys import MAX_ITEMS, Shape
from alertd.definitions.reading.nodes import Mapping, Node, Scalar, Sequence, ValueRefused
from alertd.definitions.reading.yaml import UNSEEN, UNSEEN_OR_BREAK, name_character
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
"""The maximum number of problems in a file. Reading stops after it."""


MAX_SUGGESTIONS = 10
"""How many unknown names of a file are compared with all known names, which takes milliseconds for each."""


class TooManyProblems(Exception):
    """A file has more than MAX_PROBLEMS problems."""


class Reader:
    """Reads the nodes of one file and collects its problems.

    Every method raises Enough when the file has too many problems.
    """

    def __init__(self, file: str, find: Callable[[str], Path] | None = None) -> None:
        self.file = file
        self.find = find
        """Returns the path of a file that this file names. If it is None, such files are not checked."""
        self.problems: list[Problem] = []
        self._compared: set[str] = set()

    def suggest(self, name: str, known: Iterable[str]) -> str:
        """Return advice as :func:`suggest` does; "" after MAX_SUGGESTIONS names of this file."""
        if len(self._compared) >= MAX_SUGGESTIONS and name not in self._compared:
            return ""
        self._compared.add(name)
        return suggest(name, known)

    def refuse(self, node: Node, message: str, offset: int | None = None) -> None:
        """Record a problem.

        Args:
            node: where the problem is.
            offset: the position of the problem in the node's text, in characters from 0. It is ignored if the
                position in the file is unknown.
        """
        if len(self.problems) >= MAX_PROBLEMS:
            raise TooManyProblems
        column = node.column
        if offset and isinstance(node, Scalar) and node.lead is not None:
            column += node.lead + offset
        self.problems.append(Problem(file=self.file, line=node.line, column=column, message=message))

    def read_mapping(self, node: Node, shape: Shape) -> dict[str, Node] | None:
        """Return the values of a mapping by key. Unknown and missing keys are recorded as problems."""
        if not isinstance(node, Mapping):
            self._refuse_kind(node, f"{shape.words} is a mapping of {format_list(shape.keys)}")
            return None
        known = shape.keys
        values = node.values
        if not shape.is_open and not known.keys() >= values.keys():
            for key, scalar in node.keys.items():
                if key not in known:
                    advice = self.suggest(key, known) or f"it has {format_list(known)}"
                    self.refuse(scalar, f"{quote(key)}: no such key in {shape.words}; {advice}")
            values = {key: value for key, value in values.items() if key in known}
        for name, key_of in known.items():
            if key_of.required and name not in values:
                self.refuse(node, f"{shape.words} needs {name}")
        return values

    def read_entries(self, node: Node, what: str, limit: int = MAX_ITEMS) -> Iterable[tuple[Scalar, Node]]:
        """Return the entries of a mapping whose keys are names that the author chooses.

        Args:
            what: the plural noun for the entries, for the message.
        """
        if not isinstance(node, Mapping):
            self._refuse_kind(node, f"{what} are a mapping from names to values")
            return ()
        if len(node.keys) > limit:
            self.refuse(node, f"{len(node.keys)} {what}; at most {limit:,} are taken")
            return ()
        return node.entries()

    def read_items(self, node: Node, what: str, limit: int = MAX_ITEMS) -> list[Node]:
        """Return the items of a list.

        Args:
            what: the plural noun for the items, for the message.
        """
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

    def read_text(self, node: Node, limit: int, *, lines: bool = False) -> str | None:
        """Return a text that has no invisible characters.

        Args:
            limit: the maximum length in characters.
            lines: whether line breaks are allowed.
        """
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
            self.refuse(
                node, f"{name_character(unseen[0])} in a text{'' if lines else ' of one line'}; remove it"
            )
            return None
        return value

    def read_flag(self, node: Node) -> bool | None:
        """Return the boolean that ``true`` or ``false`` means."""
        value = self.read_text(node, 100)
        if value is None:
            return None
        flag = _FLAGS.get(value)
        if flag is None:
            meant = _LIKE_FLAGS.get(value.lower(), value.lower())
            advice = f"write {meant}" if meant in _FLAGS else "write true or false"
            self.refuse(node, f"{quote(value)}: neither true nor false; {advice}")
        return flag

    def read_integer(self, node: Node, least: int, most: int) -> int | None:
        """Return a whole number from ``least`` to ``most``."""
        value = self.read_text(node, 100)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
            self.refuse(node, f"{quote(value)}: not a whole number from {least} to {most}")
            return None
        return int(value)

    def read_choice(self, node: Node, choices: type[E]) -> E | None:
        """Return the member of an enum that has this value."""
        return self.look_up(node, {str(choice): choice for choice in choices}, "")

    def look_up(self, node: Node, known: AnyMapping[str, T], what: str) -> T | None:
        """Return the value that ``known`` has for a name.

        Args:
            what: the noun for the thing that has the name, for the message; "" for a value of a closed set.
        """
        name = self.read_text(node, 300)
        if name is None:
            return None
        if name in known:
            return known[name]
        reason = f"no such {what}" if what else "not a value of this key"
        advice = self.suggest(name, known) or (f"there is {format_list(known)}" if known else "there is none")
        self.refuse(node, f"{quote(name)}: {reason}; {advice}")
        return None

    def parse(self, node: Node, parse: Callable[[str], T], limit: int = 2_000) -> T | None:
        """Return the result of ``parse``, whose ParseError is recorded as a problem."""
        text = self.read_text(node, limit)
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


def suggest(name: str, known: Iterable[str]) -> str:
    """Return advice with the known name that is most similar to ``name``; "" if none is similar."""
    return _suggest(name, tuple(known))


@lru_cache(maxsize=256)
def _suggest(name: str, known: tuple[str, ...]) -> str:
    # Cached, because one wrong name is often in thousands of places.
    lowered = {other.lower(): other for other in known}
    folded = name.lower().replace("-", "_") if name.lower() not in lowered else name.lower()
    if folded in lowered:
        return f"did you mean {lowered[folded]}?"
    found = get_close_matches(name[:_NEAR_MAX].lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean {lowered[found[0]]}?" if found else ""


def format_list(names: Iterable[str]) -> str:
    """Return a text such as ``a, b and c``. A long list is shortened."""
    all_names = list(names)
    if len(all_names) > _NAMED_AT_MOST:
        return ", ".join(all_names[:_NAMED_AT_MOST]) + f" and {len(all_names) - _NAMED_AT_MOST} more"
    return " and ".join(filter(None, (", ".join(all_names[:-1]), all_names[-1])))


def quote(text: str) -> str:
    """Quote a text for a message, in the same way as the errors in ``core`` do."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
