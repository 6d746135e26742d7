"""Matchers, which select the labels that a route accepts: ``country="iraq"``, ``cause=~"overdue|moved"``.

The grammar is that of a single matcher in Alertmanager's UTF-8 mode (source: Alertmanager, configuration,
"Matchers"). Several matchers are a YAML list with one matcher in each item. A missing label counts as an
empty label. A regular expression has to match the whole value.

Python's ``re`` compiles the expressions. Alertmanager uses RE2, which does not have backreferences,
lookaround and some other constructs. alertd rejects these constructs, so that a route has the same meaning in
both programs. ``re`` backtracks, so an expression such as ``(a+)+b`` can be slow. alertd trusts the author of
the configuration not to write such expressions.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from alertd.errors import MatcherError

MAX_LENGTH = 1024
"""The maximum length of a matcher, in characters."""

MAX_GROUPS = 50
"""The maximum number of opening parentheses in an expression. Deeper nesting could fail to compile."""

_RESERVED = frozenset("{}!=~,\\\"'`")
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_ESCAPED = str.maketrans({char: "\\" + letter for letter, char in _ESCAPES.items()})
_HEX_DIGITS = {"u": 4, "U": 8}
_ONE_EACH = "write one matcher per item of the list, without braces or commas"
_FOREIGN = re.compile(
    r"""(?: \\[1-9] | \(\?P= ) (?P<backreference>)
      | \\.                                             # any other escape
      | \[ \^? \]? (?: \\. | [^\]\\] )* \]               # a character class, which can hold (?=
      | \(\? \( (?P<conditional>)
      | \(\? <? [=!] (?P<lookaround>)
      | (?: \(\?> | [*+?]\+ ) (?P<possessive>)
    """,
    re.VERBOSE | re.DOTALL,
)


class MatchOp(StrEnum):
    """How a matcher compares the value of a label with the value of the matcher."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """One comparison with the value of one label.

    Attributes:
        name: the name of the label, which is not empty.
        op: how to compare the values.
        value: the value to compare with. For the regex operators, it is a regular expression that has to
            match the whole value of the label.

    Raises:
        MatcherError: the expression cannot be compiled. The ``text`` of the error is the expression.
    """

    name: str
    op: MatchOp
    value: str
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_regex = self.op in (MatchOp.REGEX, MatchOp.NOT_REGEX)
        object.__setattr__(self, "_pattern", _compile(self.value) if is_regex else None)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether ``labels`` satisfy the matcher. A missing label counts as ``""``."""
        value = labels.get(self.name, "")
        if self._pattern is not None:
            return (self._pattern.fullmatch(value) is not None) is (self.op is MatchOp.REGEX)
        return (value == self.value) is (self.op is MatchOp.EQUAL)

    def __str__(self) -> str:
        """Return a text that :func:`parse_matcher` accepts.

        The value is always quoted, the name only if necessary.
        """
        is_bare = bool(self.name) and all(_is_bare(char) for char in self.name)
        return f"{self.name if is_bare else _quote(self.name)}{self.op}{_quote(self.value)}"


def parse_matcher(text: str) -> Matcher:
    """Parse one matcher, such as ``country="iraq"``, ``phase!=2`` or ``"my label"=~"a|b"``.

    The name and the value can be in double quotes. Quotes are required around white space and around each of
    ``{ } ! = ~ , \\ " ' ```. Within quotes, ``\\"``, ``\\\\``, ``\\n``, ``\\r``, ``\\t``, ``\\uXXXX`` and
    ``\\UXXXXXXXX`` are escapes. White space around the name, the operator and the value is ignored.

    Raises:
        MatcherError: the text is not a matcher. The error has the offset at which the mistake begins.
    """
    if len(text) > MAX_LENGTH:
        raise MatcherError(text, f"a matcher longer than {MAX_LENGTH} characters", offset=MAX_LENGTH)
    start = _skip_space(text, 0)
    name, at = _read_word(text, start, "label name")
    if not name:
        raise MatcherError(text, "the label name is empty", offset=start)
    op, at = _read_operator(text, _skip_space(text, at))
    start = _skip_space(text, at)
    value, at = _read_word(text, start, "value")
    _refuse_rest(text, _skip_space(text, at))
    try:
        return Matcher(name=name, op=op, value=value)
    except MatcherError as error:
        raise MatcherError(text, error.reason, error.advice, start) from error


def _is_bare(char: str) -> bool:
    return char not in _RESERVED and not char.isspace()


def _quote(text: str) -> str:
    return f'"{text.translate(_ESCAPED)}"'


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _read_word(text: str, at: int, what: str) -> tuple[str, int]:
    """Return the name or value that begins at offset ``at``, and the offset of its end."""
    if text.startswith('"', at):
        return _read_quoted(text, at)
    end = at
    while end < len(text) and _is_bare(text[end]):
        end += 1
    if end > at:
        return text[at:end], end
    found = text[at : at + 1]
    if found == "" and what == "value":
        raise MatcherError(text, "no value after the operator", 'write "" for an empty one', at)
    if found == "":
        raise MatcherError(text, f"no {what}", 'write a matcher such as country="iraq"', at)
    if found in "{},":
        raise MatcherError(text, f"{found!r} where a {what} should be", _ONE_EACH, at)
    if found in "'`":
        raise MatcherError(text, f"a {what} in the wrong quotes", 'use double quotes, "', at)
    raise MatcherError(text, f"{found!r} where a {what} should be", f"put the {what} in double quotes", at)


def _read_quoted(text: str, start: int) -> tuple[str, int]:
    """Return the text in the quotes that open at offset ``start``, and the offset after these quotes."""
    read: list[str] = []
    at = start + 1
    while at < len(text):
        char = text[at]
        if char == '"':
            return "".join(read), at + 1
        if char == "\n":
            raise MatcherError(text, "a line break within quotes", r"write \n", at)
        if char == "\\":
            char, at = _read_escape(text, at)
        else:
            at += 1
        read.append(char)
    raise MatcherError(text, "the quote is not closed", 'add a "', start)


def _read_escape(text: str, at: int) -> tuple[str, int]:
    """Return the character for the escape at offset ``at``, and the offset of the end of the escape."""
    letter = text[at + 1 : at + 2]
    if letter in _HEX_DIGITS:
        end = at + 2 + _HEX_DIGITS[letter]
        digits = text[at + 2 : end]
        if len(digits) < _HEX_DIGITS[letter] or not re.fullmatch("[0-9a-fA-F]+", digits):
            raise MatcherError(text, f"\\{letter} needs {_HEX_DIGITS[letter]} hexadecimal digits", offset=at)
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise MatcherError(text, "an escape that is no character", offset=at)
        return chr(code), end
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 2
    if letter == "":
        raise MatcherError(text, "the quote is not closed", 'add a "', at)
    shown = letter if letter.isprintable() else ""
    raise MatcherError(text, f"unknown escape \\{shown}", f"for a backslash write \\\\{shown}", at)


def _read_operator(text: str, at: int) -> tuple[MatchOp, int]:
    for op in (MatchOp.REGEX, MatchOp.NOT_REGEX, MatchOp.NOT_EQUAL, MatchOp.EQUAL):
        if text.startswith(op, at) and not text.startswith("==", at):
            return op, at + len(op)
    advice = "write =, !=, =~ or !~ and a value after the label name"
    if text.startswith("==", at):
        advice = "write = once"
    elif text.startswith("~", at):
        advice = "for a regular expression write =~"
    elif text[at : at + 1] in ("{", "}", ","):
        advice = _ONE_EACH
    raise MatcherError(text, "no operator after the label name", advice, at)


def _refuse_rest(text: str, at: int) -> None:
    """Refuse any text that follows the value."""
    if at == len(text):
        return
    if text[at] in "{},":
        raise MatcherError(text, f"{text[at]!r} after the value", _ONE_EACH, at)
    raise MatcherError(text, "more text after the value", "put the value in double quotes", at)


def _compile(value: str) -> re.Pattern[str]:
    if value.count("(") > MAX_GROUPS:
        raise MatcherError(value, f"a regular expression with more than {MAX_GROUPS} groups")
    for found in _FOREIGN.finditer(value):
        if found.lastgroup is not None:
            reason = f"the regular expression has a {found.lastgroup}"
            raise MatcherError(value, reason, "RE2, and so Alertmanager, has none", found.start())
    try:
        with warnings.catch_warnings():
            # `re` only warns about [[:alpha:]], which it reads differently from RE2: in RE2, it is a class.
            warnings.simplefilter("error")
            return re.compile(value)
    except (re.error, ValueError, OverflowError, Warning) as error:
        raise MatcherError(value, f"not a regular expression: {error}") from error
