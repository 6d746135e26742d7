"""The claims in a message: each window once, with its sources and its status."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from alertd.core.message.claims import list_values, make_claim_lines, make_contested_sentence
from alertd.core.milestones.milestone import Rank, Source, list_stated_windows
from alertd.core.milestones.policy import Contested
from tests.core.builders import MINISTER, PENTAGON, REUTERS, claim, contested, milestone, policy, utc

NOW = utc("2026-11-24T06:00")
SEPTEMBER = "2026-09-01/2026-10-01"
REFUSED = claim("2027-09~", PENTAGON, rank=Rank.DEPRECATED, note="a third year, refused")


def test_live_windows_come_first_and_deprecated_claims_last() -> None:
    """Every live window has a line, sorted by its end. Deprecated claims follow and are not counted."""
    made = milestone(REFUSED, claim("2026", REUTERS), claim("2026-09", MINISTER))

    found = [(one.phrase, one.status, one.live) for one in make_claim_lines(made, NOW, SEPTEMBER)]

    assert found == [
        ("by September 2026", "passed 55 days ago", True),
        ("by the end of 2026", "due in 37 days", True),
        ("by about September 2027", "not counted", False),
    ]


def test_a_normal_claim_beside_a_preferred_one_is_not_counted() -> None:
    """An outranked claim never reminds, but the message shows it with its rank."""
    made = milestone(claim("2026-09", MINISTER, rank=Rank.PREFERRED), claim("2026", REUTERS))

    found = [(one.phrase, one.rank, one.live, one.status) for one in make_claim_lines(made, NOW, SEPTEMBER)]

    assert found == [
        ("by September 2026", "preferred", True, "passed 55 days ago"),
        ("by the end of 2026", "normal", False, "not counted"),
    ]


def test_one_line_has_all_who_state_its_window() -> None:
    """Several sources of a window share a line, which has each of their notes once."""
    made = milestone(
        claim("2026-09", MINISTER, note="as agreed"),
        claim("2026-09~", REUTERS, note="hundreds of troops"),
        claim("2026-09", MINISTER, note="as agreed"),
    )

    (found,) = make_claim_lines(made, NOW, SEPTEMBER)

    assert [one.id for one in found.accounts] == ["al-abassi", "reuters"]
    assert found.note == "as agreed; hundreds of troops"


def test_a_line_holds_what_a_program_wants() -> None:
    """A line also has the canonical deadline, the bounds in UTC and the number of days."""
    made = milestone(claim("2026-Q3", MINISTER))

    (found,) = make_claim_lines(made, NOW, "another")

    assert (found.edtf, found.days, found.headline) == ("2026-35", -55, False)
    assert (found.begins, found.ends) == (utc("2026-06-30T21:00"), utc("2026-09-30T21:00"))
    assert found.accounts[0].published == "8 September 2024"


def test_a_note_that_repeats_the_deadline_is_left_out() -> None:
    """A note such as "by the end of 2026" is not repeated after the same phrase."""
    made = milestone(claim("2026", REUTERS, note="by the end of 2026"))

    (found,) = make_claim_lines(made, NOW, "")

    assert found.note == ""


def test_once_done_the_lines_say_how_that_stands_to_them() -> None:
    """Once the milestone is done, each line compares its claim with the done date."""
    found = [one.status for one in make_claim_lines(contested(), NOW, SEPTEMBER, date(2026, 10, 3))]

    assert found == ["done 3 days after", "done 89 days before the end"]


def test_without_a_claim_there_is_no_line() -> None:
    """A milestone without claims has no lines."""
    assert make_claim_lines(milestone(), NOW, "") == ()


def test_the_contested_sentence_names_everybody() -> None:
    """The sentence gives each live claim, its source, publisher and date, and no deprecated claim."""
    made = replace(contested(), claims=(*contested().claims, REFUSED))

    assert make_contested_sentence(made) == (
        "Contested: the minister says by September 2026 (Al-Hadath, 8 September 2024);"
        " Reuters says by the end of 2026 (6 September 2024)."
    )


def test_the_contested_sentence_without_sources() -> None:
    """The sentence gives a date without a source too, and joins sources that agree."""
    other = Source(id="other", who="A bystander")
    made = milestone("2026-09", claim("2026", REUTERS, other))

    assert make_contested_sentence(made) == (
        "Contested: by September 2026; Reuters and A bystander say by the end of 2026 (6 September 2024)."
    )


def test_the_values_of_the_ledger_are_what_reminds() -> None:
    """The ledger keeps the windows that remind, with their phrases and sources."""
    made = contested(policy=policy(contested=Contested.LATEST))

    (found,) = list_values(made)

    assert (found.edtf, found.phrase, found.accounts, found.source_ids) == (
        "2026", "by the end of 2026", ("Reuters",), ("reuters",),
    )  # fmt: skip


def test_everybody_is_counted_once() -> None:
    """Two claims of the same source make a single account."""
    made = milestone(claim("2026-09", MINISTER), claim("2026-09", MINISTER, REUTERS))

    (found,) = list_stated_windows(made)

    assert found.accounts == (MINISTER, REUTERS)
