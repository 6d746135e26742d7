"""Test that the quick reader of YAML agrees with the careful reader, or leaves the text to it."""

from pathlib import Path

from hypothesis import given, target
from hypothesis import strategies as st

from alertd.definitions.reading.lines import Plain, Unsure, make_plain, read_lines
from alertd.definitions.reading.yaml import read_yaml

SHIPPED = sorted(Path("config/milestones").glob("*.yaml"))

WORDS = st.sampled_from((
    *("no", "~", "2026", "2026-09-30", "1_000", "0x10", "012", "1e3", ".inf", "true", "12:30", "a b", "9:5:1"),
    *("a:b", "a#b", "x=1", "<<", "=", "é", "日本", "(a)", "/x", "..", "../2026", "2026-09~", "a?", "2026/", "a\\b"),
    *("a, b", "a]", "a}", "https://example.org/x#y", "it's", 'say "x"', "a - b", "a -", "a\u00a0", "\u00a0a"),
))  # fmt: skip
QUOTED = st.sampled_from((
    *("'a'", '"a"', "'a: b'", '"a # b"', "' a '", '"it\'s"', "'say \"x\"'", "'{a}'", '"[a"', "'é\u00a0'", '"a"  '),
    *("''", '""', "' '", "'it''s'", '"a\\tb"', '"\\u202e"', '"\\n"', "'a", '"a', "'a'b", '"a"#b', '"a" #b', "'a' b"),
))  # fmt: skip
FLOW = st.sampled_from((
    *("{}", "[]", "{a: b}", "{a: b, c: 'd'}", "[a, b]", '["a", b]', "{ a: b }", "[ a ]", "{a: b,c: d}", "{a: b c}"),
    *("{a: b, a: c}", "{a: ''}", "[a, ]", "{a: b,}", "{a}", "{a:b}", "{a: {b: c}}", "[[a]]", "[a: b]", "{a: b", "[a"),
    *("{a: 09:00}", "{a: b#c}", "{a: b #c}", "[a?]", "{a: 2026-09?}", "{? a: b}", "[- a]", "{a: *x}", "[a b]  # c"),
    *("{a: -5}", "[-5]", "{'a': b}", "{a: b}c", "{a: b} c", "[a]]", "{a: &x b}", "{<<: a}", "{a: \u00a0}"),
))  # fmt: skip
BLOCKS = st.sampled_from(("|", ">-", "|+", ">", "|2", "|-  # c", "| x", ">-\n", "|1-", "|0"))
ODD = st.sampled_from((
    *("&x a", "*x", "!!str a", "! a", "- a", "-", "? a", ": a", "%a", "@a", "`a", "a: b", "a:", "#a", " #a", "a #b"),
    *("", " ", "\ta", "a\t", "a\tb", "---", "...", "a\r", "\ufeff", "\x85", "\u2028", "\x07", "-5", "-a", "?a", ":a"),
))  # fmt: skip
VALUES = st.one_of(WORDS, WORDS, QUOTED, FLOW, BLOCKS, ODD)
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


TEXTS = st.one_of(
    st.lists(a_line(), min_size=1, max_size=8),
    a_mapping(),
    st.builds(
        lambda lines, at, more: [*lines[:at], more, *lines[at:]], a_mapping(), st.integers(0, 8), a_line()
    ),
).map("\n".join)


def read_quickly(text: str) -> Plain | None:
    """What the quick reader reads; None if it leaves the text to the careful reader."""
    try:
        return read_lines(text)
    except Unsure:
        return None


@given(
    TEXTS,
    st.sampled_from(("", "\n", "\n\n", "\r\n", "\n...\n", "\n---\n")),
    st.sampled_from(("", "", "---\n", "# c\n")),
)
def test_what_is_read_quickly_is_what_is_written(text: str, end: str, begin: str) -> None:
    """What the quick reader takes has no problem for the careful reader, and both read the same values."""
    text = begin + text + end

    quick = read_quickly(text)

    target(float(quick is not None and text.count("\n")))
    if quick is not None:
        node, problems = read_yaml(text, "")
        assert (problems, node and make_plain(node)) == ([], quick)
