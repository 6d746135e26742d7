"""Matchers: the texts that are accepted and refused, and the labels that satisfy a matcher."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.routing.matcher import MAX_GROUPS, MAX_LENGTH, Matcher, MatchOp, parse_matcher
from alertd.errors import MatcherError

ACCEPTED = [
    # bare on both sides
    ("country=iraq", "country", "=", "iraq"),
    # the usual way, value in quotes
    ('country="iraq"', "country", "=", "iraq"),
    # each operator
    ('phase!="2"', "phase", "!=", "2"),
    ('cause=~"overdue|moved"', "cause", "=~", "overdue|moved"),
    ('cause!~"opens|due"', "cause", "!~", "opens|due"),
    # an expression needs no quotes while it holds nothing reserved
    ("cause=~over.*|moved", "cause", "=~", "over.*|moved"),
    # white space round the parts is nothing, within quotes it is kept
    (' \tcountry =  " iraq " ', "country", "=", " iraq "),
    # the name in quotes
    ('"the country"="iraq"', "the country", "=", "iraq"),
    # what is reserved stands within quotes
    ('a="{b!=~,c}"', "a", "=", "{b!=~,c}"),
    # no script is special
    ("دولة=العراق", "دولة", "=", "العراق"),
    # the empty value
    ('country=""', "country", "=", ""),
    # every escape
    (r'a="\"\\\n\r\t\u00e9\U0001F600"', "a", "=", '"\\\n\r\té😀'),
    # a backslash of an expression is written twice
    (r'phase=~"\\d+"', "phase", "=~", r"\d+"),
    # colons, dots and dashes are not reserved
    ("a.b:c-d=2026-09", "a.b:c-d", "=", "2026-09"),
    # in a character class, and escaped, a lookaround's signs are plain characters
    ('a=~"[(?=x)]+"', "a", "=~", "[(?=x)]+"),
    (r'a=~"\\(?=x"', "a", "=~", r"\(?=x"),
]

ONE_EACH = "one matcher per item"

REFUSED = [
    # nothing
    ("", "no label name", 'country="iraq"', 0),
    ("   ", "no label name", 'country="iraq"', 3),
    # no operator
    ("country", "no operator", "write =, !=, =~ or !~", 7),
    ("country iraq", "no operator", "write =, !=, =~ or !~", 8),
    ("country: iraq", "no operator", "write =, !=, =~ or !~", 9),
    # operators of other languages
    ('a=="b"', "no operator", "write = once", 1),
    ("a~b", "no operator", "write =~", 1),
    # a half operator
    ("a!b", "no operator", "write =, !=, =~ or !~", 1),
    # no value
    ("a=", "no value", 'write ""', 2),
    ("a =~ ", "no value", 'write ""', 5),
    # no name
    ('="b"', "'=' where a label name", "double quotes", 0),
    ('""="b"', "label name is empty", "", 0),
    # quotes
    ('a="b', "not closed", 'add a "', 2),
    ('"a=b', "not closed", 'add a "', 0),
    ('a="b\\', "not closed", 'add a "', 4),
    ("a='b'", "wrong quotes", "double quotes", 2),
    ("a=`b`", "wrong quotes", "double quotes", 2),
    ('a="b\nc"', "line break", r"\n", 4),
    # lists
    ("{a=b}", "'{'", ONE_EACH, 0),
    ("{}", "'{'", ONE_EACH, 0),
    ("a=b,c=d", "','", ONE_EACH, 3),
    ('a="b",', "','", ONE_EACH, 5),
    ("a=b}", "'}'", ONE_EACH, 3),
    ("a,b", "no operator", ONE_EACH, 1),
    (",a=b", "','", ONE_EACH, 0),
    # more than a value
    ("a=b c", "more text", "double quotes", 4),
    ('a="b"c', "more text", "double quotes", 5),
    ("a=b=c", "more text", "double quotes", 3),
    # escapes
    (r'a=~"\d"', "unknown escape", r"\\d", 4),
    (r'a="\u12"', "4 hexadecimal digits", "", 3),
    (r'a="\ud800"', "no character", "", 3),
    (r'a="\U00110000"', "no character", "", 3),
    # expressions that can't be compiled
    ('a=~"("', "not a regular expression", "", 3),
    ("a=~*", "not a regular expression", "", 3),
    ("a!~[", "not a regular expression", "", 3),
    ('a=~"x{2}{3}"', "not a regular expression", "", 3),
    ('a=~"x{99999999999999}"', "not a regular expression", "", 3),
    # so many groups that compiling it could go too deep
    (f'a=~"{"(" * 400}{")" * 400}"', f"more than {MAX_GROUPS} groups", "", 3),
    # to RE2 a class of letters, to `re` something else
    ('a=~"[[:alpha:]]"', "not a regular expression", "", 3),
    # what RE2 doesn't have
    ('a=~"(?=x)"', "lookaround", "RE2", 3),
    ('a=~"(?<!x)y"', "lookaround", "RE2", 3),
    (r'a=~"(x)\\1"', "backreference", "RE2", 3),
    ('a=~"(?P<n>x)(?P=n)"', "backreference", "RE2", 3),
    ('a=~"(x)?(?(1)y|z)"', "conditional", "RE2", 3),
    ('a=~"x*+"', "possessive", "RE2", 3),
    ('a=~"(?>x)"', "possessive", "RE2", 3),
    # too long
    ("a=" + "b" * MAX_LENGTH, f"longer than {MAX_LENGTH}", "", MAX_LENGTH),
]

MATCHES = [
    # equal
    ("country=iraq", {"country": "iraq"}, True),
    ("country=iraq", {"country": "Iraq"}, False),
    # not equal
    ("country!=iraq", {"country": "iran"}, True),
    ("country!=iraq", {"country": "iraq"}, False),
    # a missing label is an empty one
    ('country=""', {}, True),
    ("country!=iraq", {}, True),
    ('country!=""', {}, False),
    ("country=~.*", {}, True),
    ("country=~.+", {}, False),
    ("country!~.+", {}, True),
    # an expression is anchored at both ends, and each of its alternatives is
    ("cause=~over", {"cause": "overdue"}, False),
    ("cause=~due", {"cause": "overdue"}, False),
    ("cause=~over|due", {"cause": "overdue"}, False),
    ("cause=~overdue|moved", {"cause": "moved"}, True),
    ("cause=~over.*", {"cause": "overdue"}, True),
    # so is its negation
    ("cause!~over", {"cause": "overdue"}, True),
    ("cause!~over.*", {"cause": "overdue"}, False),
    # the end is the end, not the line's
    ("cause=~due", {"cause": "due\n"}, False),
    # other labels don't matter
    ("country=iraq", {"country": "iraq", "phase": "2"}, True),
]


@pytest.mark.parametrize(("text", "name", "op", "value"), ACCEPTED)
def test_reads(text: str, name: str, op: str, value: str) -> None:
    """A matcher is parsed into its three parts."""
    expected = Matcher(name=name, op=MatchOp(op), value=value)

    found = parse_matcher(text)

    assert found == expected


@pytest.mark.parametrize(("text", "reason", "advice", "offset"), REFUSED)
def test_refuses(text: str, reason: str, advice: str, offset: int) -> None:
    """A text that is not a matcher is refused with the text, a reason, an advice and the offset."""
    with pytest.raises(MatcherError) as caught:
        parse_matcher(text)

    assert caught.value.text == text
    assert reason in caught.value.reason
    assert advice in caught.value.advice
    assert caught.value.offset == offset


@pytest.mark.parametrize(("text", "labels", "expected"), MATCHES)
def test_matches(text: str, labels: dict[str, str], expected: bool) -> None:
    """A matcher compares a single label. A missing label counts as an empty label."""
    matcher = parse_matcher(text)

    found = matcher.matches(labels)

    assert found is expected


def test_is_shown_with_quotes_where_they_are_needed() -> None:
    """The value is always written in quotes, and the name only if it needs quotes."""
    matchers = [parse_matcher(text) for text in ("a=b", '"a b"!~c', '"="=~"x\\n"')]

    shown = [str(matcher) for matcher in matchers]

    assert shown == ['a="b"', '"a b"!~"c"', '"="=~"x\\n"']


def test_is_a_value() -> None:
    """Matchers with the same parts are equal and have the same hash, also when their texts differ."""
    first, second = parse_matcher("a=~b"), parse_matcher(' "a" =~ "b"')

    found = {first, second}

    assert len(found) == 1


@given(
    st.text(min_size=1, max_size=30),
    st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]),
    st.text(max_size=30),
)
def test_what_is_shown_can_be_read_again(name: str, op: MatchOp, value: str) -> None:
    """Parsing the text of a matcher gives the same matcher."""
    matcher = Matcher(name=name, op=op, value=value)

    found = parse_matcher(str(matcher))

    assert found == matcher


@given(st.text(max_size=60) | st.text(alphabet=' ab="\\{},!~|()[]*+?:<P1u\n&-', max_size=40))
def test_never_fails_otherwise(text: str) -> None:
    """Every text is parsed or refused with a MatcherError."""
    offset, message = 0, ""

    try:
        parse_matcher(text)
    except MatcherError as error:
        offset, message = error.offset, str(error)

    assert 0 <= offset <= len(text)
    assert len(message.splitlines()) <= 1


@given(st.text(alphabet="ab=~\\{}()[]*+?:<>P1!|^$&-.", max_size=40))
def test_no_expression_fails_otherwise(expression: str) -> None:
    """Every expression is compiled or refused with a MatcherError."""
    text = str(Matcher(name="a", op=MatchOp.EQUAL, value=expression)).replace("=", "=~", 1)

    reason = ""

    try:
        parse_matcher(text)
    except MatcherError as error:
        reason = error.reason

    assert len(reason.splitlines()) <= 1
