"""Keys: the stable names of occurrences, and the fingerprints from which all ids are made."""

from __future__ import annotations

import pytest

from alertd.core.milestones.occurrence import fingerprint, make_occurrence_key

KEY = make_occurrence_key("iraq/phase-2", "2026-09-01/2026-10-01", "-7d", "desk")
OTHERS = [
    ("iraq/phase-1", "2026-09-01/2026-10-01", "-7d", "desk"),
    ("iraq/phase-2", "2026-09-01/2026-10-02", "-7d", "desk"),
    ("iraq/phase-2", "2026-09-01/2026-10-01", "-1d", "desk"),
    ("iraq/phase-2", "2026-09-01/2026-10-01", "-7d", "leads"),
    # a boundary that moves between two parts is another key
    ("iraq/phase-22", "026-09-01/2026-10-01", "-7d", "desk"),
]


def test_a_key_is_short_and_plain() -> None:
    """A key has 22 letters and digits and no dot. It never changes, because it identifies what was sent."""
    assert KEY == "5S2oQi4j8guEjE499qMuzg"


@pytest.mark.parametrize("parts", OTHERS)
def test_a_key_depends_on_each_part(parts: tuple[str, str, str, str]) -> None:
    """A different milestone, window, offset or receiver gives a different key."""
    assert make_occurrence_key(*parts) != KEY


def test_a_digest_keeps_its_parts_apart() -> None:
    """Parts are hashed with their lengths, so that different lists of parts give different keys."""
    assert (
        len({fingerprint("a", "bc"), fingerprint("ab", "c"), fingerprint("abc"), fingerprint("abc", "")}) == 4
    )
