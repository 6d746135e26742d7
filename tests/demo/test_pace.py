"""The mapping of virtual time to real time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alertd.demo.pace import LONGEST_QUIET, Pace, VirtualClock

START = datetime(2024, 9, 8, tzinfo=UTC)


def test_quiet_times_pass_quickly() -> None:
    """A year without messages takes only as much real time as LONGEST_QUIET. Fractions are from 0 to 1."""
    busy, end = START + LONGEST_QUIET, START + timedelta(days=365)
    pace = Pace([START, busy, end], 30, VirtualClock(START))

    assert pace.fraction(START) == 0.0
    assert pace.fraction(busy) == 0.5
    assert pace.fraction(end) == 1.0
    assert pace.fraction(START - timedelta(days=1)) == 0.0
    assert pace.fraction(end + timedelta(days=1)) == 1.0


async def test_the_wait_takes_the_given_time() -> None:
    """While the pace waits, it shows increasing dates, and at the end the instant itself."""
    clock = VirtualClock(START)
    end = START + timedelta(days=100)
    began_s = clock.monotonic()
    shown: list[datetime] = []

    await Pace([START, end], 0.3, clock).pass_until(START, end, shown.append)

    assert 0.29 <= clock.monotonic() - began_s < 2
    assert shown == sorted(shown)
    assert shown[-1] == end
    assert len(shown) > 3
