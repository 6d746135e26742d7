"""Keys: the stable names of occurrences, and the digests that they and all ids are made of."""

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
    """22 letters and digits, without a dot, and the same for ever: what was sent is known by it."""
    assert KEY == "5S2oQi4j8guEjE499qMuzg"


@pytest.mark.parametrize("parts", OTHERS)
def test_a_key_depends_on_each_part(parts: tuple[str, str, str, str]) -> None:
    """Another milestone, window, offset or receiver is another key."""
    assert make_occurrence_key(*parts) != KEY


def test_a_digest_keeps_its_parts_apart() -> None:
    """Parts are hashed with their lengths, so that no two lists of parts run together."""
    assert (
        len({fingerprint("a", "bc"), fingerprint("ab", "c"), fingerprint("abc"), fingerprint("abc", "")}) == 4
    )
