"""Say in plain words what the YAML parser would not take, where, and what would be right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple


class Said(NamedTuple):
    """The parser's own words, where it stopped, and where what it was reading began; both from 1."""

    problem: str
    place: tuple[int, int]
    begins: tuple[int, int]


class Refusal(NamedTuple):
    """What to say, and where; both counted from 1."""

    line: int
    column: int
    message: str


# Control characters, what is no character, and what makes a line look other than it is: line separators that
# editors don't show, and the embeddings, overrides and isolates of bidirectional text (Trojan Source).
_UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
)
UNSEEN = re.compile(f"[{_UNSEEN}]")
UNSEEN_OR_BREAK = re.compile(f"[\t\n\r{_UNSEEN}]")

_QUOTE_IT = "put the value in quotes"
_NO_CONTENT = "did not find expected node content"
# The parser's words -> ours. Those of libyaml first, then those of PyYAML's own parser where they differ.
_SAID = {
    "mapping values are not allowed in this context": (
        "a ': ' that is not after a key", "put a value that holds ': ' in quotes, or mend the indentation"),
    "mapping values are not allowed here": (
        "a ': ' that is not after a key", "put a value that holds ': ' in quotes, or mend the indentation"),
    "could not find expected ':'": ("a key without its ':'", "write key: value"),
    "did not find expected key": (
        "no key where one should be", "mend the indentation, or put the value before it in quotes"),
    "did not find expected '-' indicator": (
        "no '-' where the next item of a list should be", "mend the indentation"),
    "block sequence entries are not allowed in this context": (
        "a list cannot begin here", "begin it on a line of its own"),
    "sequence entries are not allowed here": ("a list cannot begin here", "begin it on a line of its own"),
    "did not find expected ',' or ']'": (
        "the list that begins here is not closed", "add a comma between its items, or its ]"),
    "did not find expected ',' or '}'": (
        "the mapping that begins here is not closed", "add a comma between its entries, or its }"),
    "found unexpected end of stream": ("the quote that begins here is not closed", "add the other one"),
    "found unknown escape character": ("no such escape in double quotes", "use single quotes, or write \\\\"),
    _NO_CONTENT: ("no value where one should be", _QUOTE_IT),
    "exceeded maximum nesting depth": ("nested deeper than 32 levels", ""),
    "did not find expected alphabetic or numeric character": (
        "not an alias or anchor", "a value that begins with * or & needs quotes"),
    "found undefined tag handle": ("a tag", "a value that begins with ! needs quotes"),
    "did not find expected <document start>": (
        "more text after the end of the document", "mend the indentation of this line"),
    "did not find URI escape octet": ("a tag", "a value that begins with ! needs quotes"),
}  # fmt: skip
_AT_CONTEXT = (
    "found unexpected end of stream",
    "did not find expected ',' or ']'",
    "did not find expected ',' or '}'",
)
_NO_START = ("cannot start any token", "that cannot start")


def forbidden(text: str) -> Iterator[tuple[int, str]]:
    """Offsets of characters that may be nowhere in a file, each with what to say of it."""
    for found in UNSEEN.finditer(text):
        yield found.start(), f"{name_of(found[0])}; remove it"


def name_of(char: str) -> str:
    """A character that can't be seen, in words."""
    if char in "\n\r":
        return "a line break"
    if char == "\t":
        return "a tab"
    return f"the character U+{ord(char):04X} ({unicodedata.name(char, 'a control character').lower()})"


def refusal_of(said: Said, text: str) -> Refusal:
    """What to say instead of the parser's words."""
    line, column = said.begins if said.problem in _AT_CONTEXT else said.place
    lines = text.splitlines()
    at = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
    if at == "\t":
        return Refusal(line, column, "a tab; indent with spaces")
    if said.problem == _NO_CONTENT and not at and line > len(lines):
        return Refusal(line, column, "the file ends within a list or a mapping; add its ] or }")
    if any(words in said.problem for words in _NO_START):
        return Refusal(line, column, f"a value cannot begin with {at!r}; {_QUOTE_IT}")
    reason, advice = _SAID.get(said.problem, (f"not YAML: {said.problem}", ""))
    return Refusal(line, column, f"{reason}; {advice}" if advice else reason)
