"""Read a YAML document into nodes. No other module imports the `yaml` package.

Features of YAML that definitions do not need are rejected:

- aliases, because nine lines of aliases can expand to 10^9 nodes
- merge keys, tags and several documents
- keys that are not texts
- duplicate keys, which most YAML libraries ignore silently

Size, depth, number of nodes and number of problems are limited.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, cast

from yaml import events
from yaml.error import MarkedYAMLError, YAMLError
from yaml.loader import SafeLoader
from yaml.reader import ReaderError

from alertd.core.config import Problem
from alertd.definitions.reading.nodes import Mapping, Node, Scalar, Sequence, ValueRefused


class Parser(Protocol):
    """The interface that both parsers of PyYAML share."""

    def check_event(self) -> bool: ...
    def get_event(self) -> events.Event: ...
    def dispose(self) -> None: ...


MakeParser = Callable[[str], Parser]

PURE: MakeParser = cast(MakeParser, SafeLoader)
try:
    from yaml._yaml import CParser

    FASTEST = cast(MakeParser, CParser)
except ImportError:  # PyYAML without libyaml: same results, about eight times slower
    FASTEST = PURE

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 100_000
MAX_PROBLEMS = 100
"""The maximum number of problems in a file. Reading stops after it."""

_BREAK = re.compile("\r\n|[\r\n]")


class _Stop(Exception):
    """Reading stops here."""


def decode(raw: bytes, file: str) -> tuple[str, list[Problem]]:
    """Decode UTF-8, with or without a byte order mark. Return the text, or "" and the problem."""
    if len(raw) > MAX_BYTES:
        message = f"{len(raw):,} bytes; a file has at most {MAX_BYTES:,}, so make two of it"
        return "", [Problem(file=file, line=1, column=1, message=message)]
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        line, column = find_place(before, len(before))
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        return "", [Problem(file=file, line=line, column=column, message=message)]


def find_place(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column, both counted from 1, of the character at ``offset``."""
    line, start = 1, 0
    for found in _BREAK.finditer(text, 0, offset):
        line, start = line + 1, found.end()
    return line, offset - start + 1


def read_yaml(text: str, file: str, make_parser: MakeParser = FASTEST) -> tuple[Node | None, list[Problem]]:
    """Parse a YAML document and return its root node and its problems.

    The node is None if the text has no document or cannot be parsed to its end. There may be both a node and
    problems: the node then contains the parts that could be read.

    Args:
        file: the file's name in problems.
    """
    problems: list[Problem] = []
    for offset, reason in find_forbidden(text):
        line, column = find_place(text, offset)
        problems.append(Problem(file=file, line=line, column=column, message=reason))
        if len(problems) == MAX_PROBLEMS:
            break
    if problems:  # libyaml would stop at the first of these characters
        return None, problems
    composer = _Composer(text, file, problems, make_parser)
    return composer.compose(), problems


class _Composer:
    """Builds nodes from the parser's events.

    It uses a stack instead of recursion, so that deep nesting is reported as a problem and cannot cause a
    crash.
    """

    def __init__(self, text: str, file: str, problems: list[Problem], make_parser: MakeParser) -> None:
        self._text = text
        self._file = file
        self._problems = problems
        self._make_parser = make_parser
        self._nodes = 0

    def compose(self) -> Node | None:
        try:
            return self._compose()
        except _Stop:
            return None
        except RecursionError:
            self._refuse(1, 1, f"nested deeper than {MAX_DEPTH} levels")
            return None
        except MarkedYAMLError as error:
            place = _get_place(error.problem_mark or error.context_mark)
            begins = _get_place(error.context_mark or error.problem_mark)
            words = error.problem or error.context or "it cannot be read"
            refusal = translate_error(ParserMessage(words, place, begins), self._text)
        except ReaderError as error:
            line, column = find_place(self._text, min(error.position, len(self._text)))
            refusal = YamlRefusal(line, column, f"not YAML: {error.reason}")
        except YAMLError as error:
            refusal = YamlRefusal(1, 1, f"not YAML: {error}")
        self._refuse(refusal.line, refusal.column, refusal.message)
        return None

    def _compose(self) -> Node | None:
        stream = _iterate_events(self._make_parser(self._text))
        root: Node | None = None
        documents = 0
        for event in stream:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse_at(event, "a second document; a file has one, so make two files of it")
                    break
            elif isinstance(event, events.NodeEvent):
                root = self._compose_node(event, stream)
        return root

    def _compose_node(self, event: events.NodeEvent, stream: Iterator[events.Event]) -> Node:
        """Return the node that starts with ``event``, with all its children."""
        root = self._make_node(event)
        stack: list[Sequence | Mapping] = []
        keys: list[Scalar | None] = []  # for each node on the stack, the key whose value comes next
        if isinstance(root, (Sequence, Mapping)):
            stack.append(root)
            keys.append(None)
        while stack:
            event = next(stream)  # type: ignore[assignment]
            if isinstance(event, events.CollectionEndEvent):
                stack.pop()
                keys.pop()
                continue
            node = self._make_node(event)
            parent = stack[-1]
            if isinstance(parent, Sequence):
                parent.items.append(node)
            elif (key := keys[-1]) is None:
                keys[-1] = self._check_key(node)
            else:
                keys[-1] = None
                self._add(parent, key, node)
            if isinstance(node, (Sequence, Mapping)):
                stack.append(node)
                keys.append(None)
                if len(stack) > MAX_DEPTH:
                    self._refuse_at(event, f"nested deeper than {MAX_DEPTH} levels")
                    raise _Stop
        return root

    def _make_node(self, event: events.NodeEvent) -> Node:
        mark = _get_start(event)
        line, column = mark.line + 1, mark.column + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(line, column, f"more than {MAX_NODES:,} values; make two files of it")
            raise _Stop
        if event.anchor is not None or getattr(event, "tag", None) is not None:
            self._refuse_alias_or_tag(event, line, column)
        if isinstance(event, events.ScalarEvent):
            return _make_scalar(event, line, column)
        if isinstance(event, events.SequenceStartEvent):
            return Sequence(line, column)
        return (
            Mapping(line, column)
            if isinstance(event, events.MappingStartEvent)
            else ValueRefused(line, column)
        )

    def _refuse_alias_or_tag(self, event: events.NodeEvent, line: int, column: int) -> None:
        if isinstance(event, events.AliasEvent):
            self._refuse(line, column, f"an alias, *{event.anchor}; write out what it stands for")
        elif event.anchor is not None:
            self._refuse(line, column, f"an anchor, &{event.anchor}; remove it: aliases are not taken")
        if (tag := getattr(event, "tag", None)) is not None:
            self._refuse(line, column, f"a tag, {tag}; remove it: every value is a text")

    def _check_key(self, node: Node) -> Scalar:
        """Return the key if it is a text. After a problem, return a placeholder that drops the value."""
        if isinstance(node, Scalar):
            if node.text == "<<" and node.is_plain:
                self._refuse(node.line, node.column, "a merge key, <<; write out what it would bring in")
            elif node.text == "" and node.is_plain:
                self._refuse(node.line, node.column, "a value without a key; write key: value")
            else:
                return node
        elif not isinstance(node, ValueRefused):
            self._refuse(node.line, node.column, "a list or mapping as a key; a key is a text")
        return Scalar("", node.line, node.column, None)

    def _add(self, parent: Mapping, key: Scalar, node: Node) -> None:
        if key.lead is None and key.text == "":
            return
        first = parent.keys.get(key.text)
        if first is not None:
            where = f"line {first.line}" if first.line != key.line else f"column {first.column}"
            self._refuse(
                key.line, key.column, f"{key.text!r}: the same key as in {where}; remove one of them"
            )
            return
        parent.keys[key.text] = key
        parent.values[key.text] = node

    def _refuse_at(self, event: events.Event, message: str) -> None:
        mark = _get_start(event)
        self._refuse(mark.line + 1, mark.column + 1, message)

    def _refuse(self, line: int, column: int, message: str) -> None:
        self._problems.append(Problem(file=self._file, line=line, column=column, message=message))
        if len(self._problems) >= MAX_PROBLEMS:
            raise _Stop


class _Mark(Protocol):
    """A position in the text. Line and column are counted from 0."""

    line: int
    column: int


def _get_place(mark: object) -> tuple[int, int]:
    if mark is None:
        return 1, 1
    place = cast(_Mark, mark)
    return place.line + 1, place.column + 1


def _get_start(event: events.Event) -> _Mark:
    return cast(_Mark, event.start_mark)  # the events of a parser always have a start mark


def _iterate_events(parser: Parser) -> Iterator[events.Event]:
    try:
        while parser.check_event():
            yield parser.get_event()
    finally:
        parser.dispose()


def _make_scalar(event: events.ScalarEvent, line: int, column: int) -> Scalar:
    end = cast(_Mark, event.end_mark)
    is_straight = end.line + 1 == line  # the text is on one line
    match event.style:
        case "'" | '"':
            length = end.column + 1 - column - 2
            return Scalar(
                event.value, line, column, 1 if is_straight and length == len(event.value) else None, False
            )
        case "|" | ">":
            return Scalar(event.value, line, column, None, False, event.style == "|")
        case _:
            length = end.column + 1 - column
            return Scalar(
                event.value, line, column, 0 if is_straight and length == len(event.value) else None
            )


class ParserMessage(NamedTuple):
    """An error of the YAML parser.

    Attributes:
        problem: the parser's message.
        place: the line and column where the parser stopped, both counted from 1.
        begins: the line and column where the unfinished element starts, both counted from 1.
    """

    problem: str
    place: tuple[int, int]
    begins: tuple[int, int]


class YamlRefusal(NamedTuple):
    """A message and its place. Line and column are counted from 1."""

    line: int
    column: int
    message: str


# Characters that are invisible or make a line look different from its content: control characters,
# noncharacters, line separators that editors do not show, and the controls of bidirectional text
# (CVE-2021-42574, "Trojan Source").
_UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
)
UNSEEN = re.compile(f"[{_UNSEEN}]")
UNSEEN_OR_TAB = re.compile(f"[\t\r{_UNSEEN}]")
UNSEEN_OR_BREAK = re.compile(f"[\t\n\r{_UNSEEN}]")

_QUOTE_IT = "put the value in quotes"
_NO_CONTENT = "did not find expected node content"
# The parser's message -> what is wrong and what to do. PyYAML's own parser has some messages that differ from
# those of libyaml.
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


def find_forbidden(text: str) -> Iterator[tuple[int, str]]:
    """Return the offset of each character that is not allowed in a file, with a message."""
    for found in UNSEEN.finditer(text):
        yield found.start(), f"{name_character(found[0])}; remove it"


def name_character(char: str) -> str:
    """Return a description of an invisible character."""
    if char in "\n\r":
        return "a line break"
    if char == "\t":
        return "a tab"
    return f"the character U+{ord(char):04X} ({unicodedata.name(char, 'a control character').lower()})"


def translate_error(said: ParserMessage, text: str) -> YamlRefusal:
    """Return the message to show for an error of the parser in ``text``."""
    line, column = said.begins if said.problem in _AT_CONTEXT else said.place
    lines = text.splitlines()
    at = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
    if at == "\t":
        return YamlRefusal(line, column, "a tab; indent with spaces")
    if said.problem == _NO_CONTENT and not at and line > len(lines):
        return YamlRefusal(line, column, "the file ends within a list or a mapping; add its ] or }")
    if any(words in said.problem for words in _NO_START):
        return YamlRefusal(line, column, f"a value cannot begin with {at!r}; {_QUOTE_IT}")
    reason, advice = _SAID.get(said.problem, (f"not YAML: {said.problem}", ""))
    return YamlRefusal(line, column, f"{reason}; {advice}" if advice else reason)
