"""Edits of a timeline's file by the demo."""

from __future__ import annotations

import pytest

from alertd.demo.edit import CannotEdit, diff_lines, restate_claim

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


def test_a_claim_is_changed_and_a_source_added() -> None:
    """Only the claim and the sources change. Keys that the claim lacks are ignored."""
    after = restate_claim(TEXT, "two", "a", {"deadline": "2027", "source": "b", "note": "n"}, "b: {who: B}")

    assert diff_lines(TEXT, after) == [
        "+ b: {who: B}",
        "- deadline: 2026-09",
        "+ deadline: 2027",
        "- source: a",
        "+ source: b",
    ]


def test_several_values_on_one_line() -> None:
    """Several values on one line are all replaced, although each replacement moves the values after it."""
    claim = {"deadline": "2027-01-15", "source": "b", "note": "n"}

    after = restate_claim(TEXT, "one", "a", claim, "b: {who: B}")

    assert "      - {deadline: 2027-01-15, source: b, note: n}\n" in after


@pytest.mark.parametrize(
    ("milestone", "source", "text"),
    [
        ("three", "a", TEXT),  # no such milestone
        ("one", "b", TEXT),  # no claim with this source
        ("one", "a", TEXT.replace("2026,", '"2026",')),  # quoted
    ],
)
def test_an_uncertain_edit_is_refused(milestone: str, source: str, text: str) -> None:
    """An edit that is not certain to be right is refused."""
    with pytest.raises(CannotEdit):
        restate_claim(text, milestone, source, {"deadline": "2027"}, "b: {who: B}")
