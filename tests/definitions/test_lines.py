"""Test that the quick reader of YAML agrees with the careful reader, or leaves the text to it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, target
from hypothesis import strategies as st

from alertd.definitions.config.read import Inherited
from alertd.definitions.reading.lines import Plain, Unsure, make_plain, read_lines
from alertd.definitions.reading.yaml import MAX_DEPTH, MAX_NODES, read_yaml
from alertd.definitions.timeline.read import TimelineRead, read_timeline, read_timeline_with_places
from tests.calls import counting

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "milestones").glob("*.yaml"))
INHERITED = Inherited()

WORDS = st.sampled_from((
    *("no", "~", "2026", "2026-09-30", "1_000", "0x10", "012", "1e3", ".inf", "true", "12:30", "a b"),
    *("a:b", "a#b", "x=1", "<<", "=", "é", "日本", "(a)", "/x", "..", "../2026", "2026-09~", "a?", "2026/"),
    *("a\\b", "a, b", "a]", "a}", "https://example.org/x#y", "it's", 'say "x"', "a - b", "a -", "a\u00a0"),
    *("\u00a0a", "9:5:1"),
))  # fmt: skip
QUOTED = st.sampled_from((
    *("'a'", '"a"', "'a: b'", '"a # b"', "' a '", '"it\'s"', "'say \"x\"'", "'{a}'", '"[a"', "'é\u00a0'"),
    *('"a"  ', "''", '""', "' '", "'it''s'", '"a\\tb"', '"\\u202e"', '"\\n"', "'a", '"a', "'a'b", '"a"#b'),
    *('"a" #b', "'a' b"),
))  # fmt: skip
FLOW = st.sampled_from((
    *("{}", "[]", "{a: b}", "{a: b, c: 'd'}", "[a, b]", '["a", b]', "{ a: b }", "[ a ]", "{a: b,c: d}"),
    *("{a: b c}", "{a: b, a: c}", "{a: ''}", "[a, ]", "{a: b,}", "{a}", "{a:b}", "{a: {b: c}}", "[[a]]"),
    *("[a: b]", "{a: b", "[a", "{a: 09:00}", "{a: b#c}", "{a: b #c}", "[a?]", "{a: 2026-09?}", "{? a: b}"),
    *("[- a]", "{a: *x}", "[a b]  # c", "{a: -5}", "[-5]", "{'a': b}", "{a: b}c", "{a: b} c", "[a]]"),
    *("{a: &x b}", "{<<: a}", "{a: \u00a0}", "{a: [b], c: []}", "{a: [b, c] , d: e}", "{a: [b], a: c}"),
    *("{a: {b: c}, d: e}", "{a: {b: c, b: d}}", "{a: {b: [c]} , d: [e]}", "[{a: b}, c]", "[{a: b} c]"),
    *("{a: {b: {c: d}}}", "[{a: b, a: c}]", "{a: [{b: c}, {b: 'd'}]}", "{a: {b: c}"),
    *("[{a}]", "{a: {b: c},}", "{a: [{b: c]}"),
))  # fmt: skip
BLOCKS = st.sampled_from(("|", ">-", "|+", ">", "|2", "|-  # c", "| x", ">-\n", "|1-", "|0"))
NESTED = st.recursive(
    st.one_of(WORDS, QUOTED),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=3).map(
            lambda items: f"{{{', '.join(map('{}: {}'.format, 'abcd', items))}}}"
        ),
    ),
    max_leaves=6,
)
ODD = st.sampled_from((
    *("&x a", "*x", "!!str a", "! a", "- a", "-", "? a", ": a", "%a", "@a", "`a", "a: b", "a:", "#a", " #a"),
    *("a #b", "", " ", "\ta", "a\t", "a\tb", "---", "...", "a\r", "\ufeff", "\x85", "\u2028", "\x07", "-5"),
    *("-a", "?a", ":a"),
))  # fmt: skip
VALUES = st.one_of(WORDS, WORDS, QUOTED, FLOW, NESTED, BLOCKS, ODD)
KEYS = st.sampled_from(
    ("a", "b", "c", "d", "a-b", "2026", "no", "_x", "a", "<<", "'a'", "a b", "é", "", "a" * 101)
)
GOOD_KEYS = st.sampled_from("abcdefgh")
INDENTS = st.sampled_from(("", "", "  ", "  ", "    ", "    ", "      ", " ", "   "))


@st.composite
def a_line(draw: st.DrawFn) -> str:
    """A line of any kind, good or bad."""
    form = draw(st.sampled_from("kkkkkkiioovct"))
    indent, value = draw(INDENTS), draw(VALUES)
    tail = draw(st.sampled_from(("", "", "", " ", "  # c")))
    key = draw(st.one_of(GOOD_KEYS, KEYS))
    match form:
        case "k":
            return f"{indent}{key}: {value}{tail}"
        case "i":
            return f"{indent}- {key}: {value}{tail}"
        case "o":
            return f"{indent}{draw(st.sampled_from(('', '- ')))}{key}:{tail}"
        case "v":
            return f"{indent}-{draw(st.sampled_from((' ', '  ')))}{value}{tail}"
        case "c":
            return f"{indent}# {value}"
        case _:
            return f"{indent}{value}{tail}"


@st.composite
def a_mapping(draw: st.DrawFn, indent: str = "", depth: int = 0) -> list[str]:
    """The lines of a mapping, which are mostly good."""
    lines: list[str] = []
    for key in draw(st.lists(GOOD_KEYS, min_size=1, max_size=4, unique=True)):
        form = draw(st.sampled_from("vvvvmlbtw"))
        inner = indent + draw(st.sampled_from(("  ", "  ", " ", "    ")))
        if form in "ml" and depth < 3:
            lines.append(f"{indent}{key}:{draw(st.sampled_from(('', ' ', '  # c')))}")
            if form == "m":
                lines += draw(a_mapping(inner, depth + 1))
            else:
                dash = draw(st.sampled_from((indent, inner)))
                for _ in range(draw(st.integers(1, 3))):
                    first, *rest = draw(a_mapping(dash + "  ", depth + 1))
                    lines += [f"{dash}- {first.lstrip()}", *rest]
        elif form == "l":
            lines += [
                f"{indent}{key}:",
                *(f"{inner}- {value}" for value in draw(st.lists(WORDS, min_size=1, max_size=3))),
            ]
        elif form == "b":
            lines.append(f"{indent}{key}: {draw(BLOCKS)}")
            lines += [inner + draw(VALUES) for _ in range(draw(st.integers(0, 3)))]
        elif form == "t":
            lines += [f"{indent}{key}: {draw(VALUES)}", inner + draw(VALUES)]
        else:
            lines.append(f"{indent}{key}: {draw(st.one_of(WORDS, QUOTED, FLOW))}")
        if draw(st.integers(0, 9)) == 0:
            lines.append(draw(st.sampled_from(("", "  ", "# c", "      # c", indent + "# c"))))
    return lines


def insert(lines: list[str], at: int, more: str) -> list[str]:
    return [*lines[:at], more, *lines[at:]]


TEXTS = st.one_of(
    st.lists(a_line(), min_size=1, max_size=8),
    a_mapping(),
    st.builds(insert, a_mapping(), st.integers(0, 8), a_line()),
).map("\n".join)
BEGINNINGS = st.sampled_from(("", "", "---\n", "# c\n"))
ENDINGS = st.sampled_from(("", "\n", "\n\n", "\r\n", "\n...\n", "\n---\n"))


def read_quickly(text: str) -> Plain | None:
    """What the quick reader reads; None if it leaves the text to the careful reader."""
    try:
        return read_lines(text)
    except Unsure:
        return None


@given(TEXTS, BEGINNINGS, ENDINGS)
def test_what_is_read_quickly_is_what_is_written(text: str, begin: str, end: str) -> None:
    """What the quick reader takes has no problem for the careful reader, and both read the same values."""
    text = begin + text + end

    quick = read_quickly(text)

    target(float(quick is not None and text.count("\n")))
    if quick is not None:
        node, problems = read_yaml(text, "")
        assert (problems, node and make_plain(node)) == ([], quick)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a: 2026-09-30", {"a": "2026-09-30"}),  # no date
        ("a: yes\nb: 0x10\nc: 1_000\nd: ~", {"a": "yes", "b": "0x10", "c": "1_000", "d": "~"}),
        ("---\n# c\n\na: b  # c\n", {"a": "b"}),
        ("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
        ("a:\n- b: c\n  d: e\n- b: f\n", {"a": [{"b": "c", "d": "e"}, {"b": "f"}]}),  # dashes below the key
        ("a:\n  - b\n  - 'c'\nd: [e, f]", {"a": ["b", "c"], "d": ["e", "f"]}),
        ("a: {b: c, d: 'e: f'}", {"a": {"b": "c", "d": "e: f"}}),
        ("a: {b: {c: d}, e: 'f'}", {"a": {"b": {"c": "d"}, "e": "f"}}),
        ("a:\n  - {b: c, d: [{e: f}, {e: g}]}", {"a": [{"b": "c", "d": [{"e": "f"}, {"e": "g"}]}]}),
        ("a: >-\n  b\n  c\nd: |\n  e\n", {"a": "b c", "d": "e"}),  # by the careful reader, with its lines
        ("a: b\n  c\nd: e", {"a": "b c", "d": "e"}),
        ('a: "\\u00e9"\nb: {c: 09:00}', {"a": "é", "b": {"c": "09:00"}}),
    ],
)
def test_what_definitions_contain_is_read_quickly(text: str, read: Plain) -> None:
    """The forms of YAML that definitions use are read without the careful reading of the whole file."""
    assert read_quickly(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        "a: b\na: c",  # the same key
        "a: {b: c, b: d}",
        "a:\n  b: c\n  b: d",
        "a: &x b",  # an anchor
        "a: *x",
        "a: !!str b",
        "<<: {a: b}",  # a merge key
        "a: b\n---\nc: d",  # a second document
        "a:\n",  # no value
        "a: ''",
        "a: b: c",
        "a: b\n c: d",
        "a:\tb",
        "a: \u202eb",  # an invisible character
        'a: "\\u202eb"',
        "- a",  # no mapping
        "a",
        "? a\n: b",
        "".join(f"{' ' * depth}a:\n" for depth in range(MAX_DEPTH)) + " " * MAX_DEPTH + "a: b",
        "a:\n" + "- b: c\n" * (MAX_NODES // 3 + 1),
    ],
)
def test_what_may_be_wrong_is_left_to_the_careful_reader(text: str) -> None:
    """Whatever has a problem, or is past a limit, is left to the careful reader, which says where it is."""
    assert read_quickly(text) is None


def test_a_long_line_takes_linear_time() -> None:
    """A line of a megabyte that fits no form is given up after one look at each character."""
    for text in (
        "a: {b: c" + " " * 1_000_000 + "x: y",
        "a: b" + " :" * 500_000,
        "a: [" + "b, " * 300_000,
        "a: [" + "{b: c}, " * 100_000,
        "a: {b: [" + "{c: " * 100_000,
    ):
        assert read_quickly(text) is None


TIMELINE = """\
timeline: iraq
title: Withdrawal
timezone: Asia/Baghdad
labels: {country: iraq}
sources:
  minister: {who: The minister, short: the minister, published: 2024-09-08}
milestones:
  - id: a
    title: One
    deadline: 2026-09~
    source: minister
    labels: {area: x, phase: "1"}
    policy: default
    tentative: true
    description: >-
      What it
      means.
    owner: Team
    url: https://example.org/a
    timezone: Europe/Berlin
  - id: b
    title: "Two: the second"
    after: a + 30d
    source: minister
    note: later
  - id: c
    title: Three
    claims:
      - {deadline: 2026-Q4, source: minister}
      - deadline: 2026-12-31T17:00
        rank: deprecated
        reading: start
  - id: d
    title: Four
    deadline: 2026-09-30
    repeat: RRULE:FREQ=MONTHLY;BYMONTHDAY=-1
    policy: {before: [1d], after: []}
"""
LINES = TIMELINE.splitlines()
CHANGES = st.one_of(
    st.builds(insert, st.just(LINES), st.integers(0, len(LINES)), a_line()),
    st.builds(
        lambda at, value: [*LINES[:at], LINES[at].partition(": ")[0] + ": " + value, *LINES[at + 1 :]],
        st.integers(0, len(LINES) - 1),
        VALUES,
    ),
    st.builds(
        lambda at, to: [*LINES[:at], LINES[to], *LINES[at + 1 :]],
        st.integers(0, len(LINES) - 1),
        st.integers(0, len(LINES) - 1),
    ),
    st.builds(lambda at: LINES[:at] + LINES[at + 1 :], st.integers(0, len(LINES) - 1)),
)


def forget_places(read: TimelineRead) -> TimelineRead:
    after = tuple(replace(one, text="", line=0, column=0) for one in read.after)
    return replace(read, line=0, column=0, has_places=True, after=after)


@given(CHANGES)
def test_both_ways_to_read_a_timeline_agree(lines: list[str]) -> None:
    """A timeline that is read quickly is the one that is read with places; problems have the same places."""
    raw = "\n".join(lines).encode()

    found = read_timeline(raw, "f.yaml", INHERITED)

    careful = read_timeline_with_places(raw, "f.yaml", INHERITED)
    if found.has_places:
        assert found == careful
    else:
        assert forget_places(found) == forget_places(careful)
        assert not careful.problems


def test_a_good_file_is_never_read_carefully() -> None:
    """A file without a problem is parsed once, and the careful reader gets only the lines of its blocks."""
    good = TIMELINE.replace(">-\n      What it\n      means.", "What it means.")

    with counting(read_yaml) as careful:
        found = read_timeline(good.encode(), "f.yaml", INHERITED)
    with counting(read_lines) as quick:
        read_timeline(good.encode(), "f.yaml", INHERITED)

    assert found.timeline is not None
    assert (quick.count, careful.count) == (1, 0)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_are_read_quickly(path: Path) -> None:
    """The timelines that come with alertd are read quickly, as the same timelines as with places."""
    found = read_timeline(path.read_bytes(), path.name, INHERITED)

    assert not found.has_places
    careful = read_timeline_with_places(path.read_bytes(), path.name, INHERITED)
    assert forget_places(found) == forget_places(careful)
