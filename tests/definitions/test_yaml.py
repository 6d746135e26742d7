"""Test that YAML is read into texts with their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.definitions.reading.nodes import Mapping, Node, Scalar, Sequence
from alertd.definitions.reading.yaml import FASTEST, MAX_BYTES, MAX_NODES, PURE, decode, find_place, read_yaml


def _read(text: str) -> Node:
    node, problems = read_yaml(text, "f.yaml")
    assert not problems
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("no", "no"),  # false in YAML 1.1
        ("2026-09-30", "2026-09-30"),  # a date
        ("2026-09", "2026-09"),
        ("012", "012"),  # an octal number, ten
        ("12:30:00", "12:30:00"),  # 45000, in sixties
        ("~", "~"),  # null
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("'it''s'", "it's"),
        ('"a\\tb"', "a\tb"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
    ],
)
def test_a_scalar_is_the_text_that_is_written(written: str, text: str) -> None:
    """A scalar stays text and is never converted to a number, a date or a boolean."""
    node = _read(f"key: {written}\n")

    assert isinstance(node, Mapping)
    value = node.values["key"]
    assert isinstance(value, Scalar)
    assert value.text == text


def test_nodes_know_line_and_column() -> None:
    """Lines and columns are counted from 1, in characters."""
    node = _read("# é\nclé: [a, 'b']\nm:\n  - k: v\n")

    assert node == Mapping(
        2,
        1,
        keys={"clé": Scalar("clé", 2, 1), "m": Scalar("m", 3, 1)},
        values={
            "clé": Sequence(2, 6, [Scalar("a", 2, 7), Scalar("b", 2, 10, 1, False)]),
            "m": Sequence(4, 3, [Mapping(4, 5, {"k": Scalar("k", 4, 5)}, {"k": Scalar("v", 4, 8)})]),
        },
    )


@pytest.mark.parametrize(
    ("written", "lead"),
    [
        ("plain", 0),
        ("'quoted'", 1),
        ('"quoted"', 1),
        ("'it''s'", None),  # two characters in the file, one in the text
        ('"a\\u0041"', None),
        ("|\n  a", None),
        ("plain\n  on two lines", None),
    ],
)
def test_an_offset_in_a_text_has_a_column_only_where_it_is_certain(written: str, lead: int | None) -> None:
    """An offset in a text has a column only if each character of the text is one character in the file."""
    node = _read(f"key: {written}\n")

    assert isinstance(node, Mapping)
    value = node.values["key"]
    assert isinstance(value, Scalar)
    assert value.lead == lead


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "# a\n\n# b"])
def test_nothing_is_no_node_and_no_problem(text: str) -> None:
    """An empty file gives no node and no problem, because the caller decides whether it is allowed."""
    assert read_yaml(text, "f.yaml") == (None, [])


@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\r"])
def test_all_line_breaks_count(breaks: str) -> None:
    """Line breaks of other systems give the same places."""
    node = _read(breaks.join(("a: b", "c:", "  - d", "")))

    assert isinstance(node, Mapping)
    assert node.values["c"] == Sequence(3, 3, [Scalar("d", 3, 5)])


def test_a_byte_order_mark_is_passed_over() -> None:
    """A byte order mark, which some editors write, is ignored."""
    text, problems = decode("\ufeffa: b\n".encode(), "f.yaml")

    assert (text, problems) == ("a: b\n", [])


def test_a_file_that_is_too_large_is_not_decoded() -> None:
    """The size is checked before the text is decoded."""
    text, problems = decode(b"\xff" * (MAX_BYTES + 1), "f.yaml")

    assert text == ""
    assert [str(problem) for problem in problems] == [
        "f.yaml:1:1: 1,048,577 bytes; a file has at most 1,048,576, so make two of it"
    ]


def test_utf_16_is_refused_at_its_first_byte() -> None:
    """A text that is not UTF-8 is rejected at its first invalid byte."""
    _, problems = decode("a: b".encode("utf-16"), "f.yaml")

    assert [str(problem) for problem in problems] == [
        "f.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8"
    ]


def test_the_number_of_nodes_is_bounded() -> None:
    """The number of nodes is limited, because a small file can have very many."""
    node, problems = read_yaml("[" + "," * 10 + "]", "f.yaml")
    assert node is None
    assert len(problems) == 1

    node, problems = read_yaml("[" + "a," * (MAX_NODES + 1) + "]", "f.yaml")

    assert node is None
    assert [problem.message for problem in problems] == ["more than 100,000 values; make two files of it"]


def test_a_bomb_of_aliases_is_refused_and_costs_nothing() -> None:
    """Nested aliases that expand to 10^9 values are rejected at once."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    _, problems = read_yaml("\n".join(lines), "f.yaml")

    assert problems[0].message == "an anchor, &a0; remove it: aliases are not taken"
    assert problems[2].message == "an alias, *a0; write out what it stands for"


def test_the_place_of_an_offset() -> None:
    """The line and the column of an offset are counted from 1."""
    assert find_place("ab\r\ncd\re\n", 0) == (1, 1)
    assert find_place("ab\r\ncd\re\n", 5) == (2, 2)
    assert find_place("ab\r\ncd\re\n", 7) == (3, 1)


WORDS = st.text(st.sampled_from("abc: -[]{},'\"\n#|>&*!?é"), max_size=40)


@given(WORDS)
def test_both_parsers_make_the_same_of_a_text(text: str) -> None:
    """Both parsers give the same nodes for texts that both accept."""
    fast, fast_problems = read_yaml(text, "f.yaml", FASTEST)
    pure, pure_problems = read_yaml(text, "f.yaml", PURE)

    if not fast_problems and not pure_problems:
        assert _texts(fast) == _texts(pure)


def _texts(node: Node | None) -> object:
    """Return a tree without places, because the parsers differ in the place of a missing value."""
    match node:
        case Scalar():
            return node.text
        case Sequence():
            return [_texts(item) for item in node.items]
        case Mapping():
            return {key: _texts(value) for key, value in node.values.items()}
        case _:
            return None
