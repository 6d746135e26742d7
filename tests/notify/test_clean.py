"""Cleaning makes any text harmless, and costs nothing for a text that is clean already."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.notify.render.clean import clean_line, clean_link, clean_message
from alertd.testing import SAMPLES, sample_message, with_links

HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")

texts = st.text(
    st.one_of(st.characters(), st.sampled_from(" \t\n\x1b\x85\xa0\u2003\u2028\u202e\u2066\ud800\ufeffé"))
)


@given(texts, st.integers(1, 40))
@example("a  b", 10)
@example(" a", 10)
@example("a\xa0b", 10)
@example("a" * 11, 10)
def test_a_cleaned_text_is_one_harmless_line(text: str, limit: int) -> None:
    words = re.sub(HARMFUL, " ", text[: 4 * limit]).split()

    clean = clean_line(text, limit)

    whole = " ".join(words)
    assert clean == (whole if len(whole) <= limit else whole[: limit - 1].rstrip() + "…")
    assert not HARMFUL.search(clean)
    assert clean_line(clean, limit) == clean


def test_every_printable_character_but_the_space_is_kept_and_splits_nothing() -> None:
    """The short way for clean texts relies on this property of Python's tables of characters."""
    printable = [letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.isprintable()]

    assert not [letter for letter in printable if HARMFUL.match(letter)]
    assert [letter for letter in printable if letter.isspace()] == [" "]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_clean_message_is_not_copied(name: str) -> None:
    message = with_links(sample_message(name))

    assert clean_message(message) is message


def test_only_what_is_not_clean_is_copied() -> None:
    message = sample_message("many")
    first, *rest = message.items
    dirty = replace(message, items=(replace(first, title="a\x1b[31m title\n"), *rest))

    cleaned = clean_message(dirty)

    assert cleaned.items[0] == replace(first, title="a [31m title")
    assert all(item is kept for item, kept in zip(cleaned.items[1:], rest, strict=True))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("", ""),
        ("javascript:alert(1)", ""),
        ("https:///path", ""),
        ("https://[::1", ""),
        *((f"https://example.org/{letter}", "") for letter in " \"'<>\\^`{|}\n\u202e"),
    ],
)
def test_a_link_that_a_browser_cannot_open_safely_is_left_out(url: str, expected: str) -> None:
    assert clean_link(url) == expected
