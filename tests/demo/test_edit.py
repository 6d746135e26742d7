"""Edits of the timeline's file."""

from __future__ import annotations

import pytest

from alertd.demo.edit import CannotEdit, changed_lines, restated

TEXT = """\
timeline: t   # a comment stays
sources:
  a: {who: A}
milestones:
  - id: one
    claims:
      - {deadline: 2026, source: a, note: long ago}
  - id: two
    claims:
      - deadline: 2026-09
        source: a
"""


def test_one_claim_is_restated_and_a_source_added() -> None:
    """Nothing else in the file changes; a key that the claim lacks is left out."""
    after = restated(TEXT, "two", "a", {"deadline": "2027", "source": "b", "note": "n"}, "b: {who: B}")

    assert changed_lines(TEXT, after) == [
        "+ b: {who: B}",
        "- deadline: 2026-09",
        "+ deadline: 2027",
        "- source: a",
        "+ source: b",
    ]


def test_several_words_of_one_line() -> None:
    """A claim on one line is restated from its end, so no place is missed."""
    after = restated(TEXT, "one", "a", {"deadline": "2027-01-15", "source": "b", "note": "n"}, "b: {who: B}")

    assert "      - {deadline: 2027-01-15, source: b, note: n}\n" in after


@pytest.mark.parametrize(
    ("milestone", "source", "text"),
    [
        ("three", "a", TEXT),  # no such milestone
        ("one", "b", TEXT),  # nobody of that name says so
        ("one", "a", TEXT.replace("2026,", '"2026",')),  # quoted
    ],
)
def test_what_it_cannot_edit_it_refuses(milestone: str, source: str, text: str) -> None:
    """It never guesses where a word stands."""
    with pytest.raises(CannotEdit):
        restated(text, milestone, source, {"deadline": "2027"}, "b: {who: B}")
