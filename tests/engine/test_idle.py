"""What an idle daemon does in an hour, as counts: they do not depend on the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

from tests.engine.test_timer import Night

HOUR_S = 3600
BEGIN_S = 60
"""The first minute, in which the daemon starts, is not counted."""


class IdleNight(Night):
    """A night in which nothing falls due, with a count of the wake-ups and of what each asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.files_looked_at = 0
        self.stage.define(self.due_in(30 * 24 * HOUR_S))
        self.stage.world = replace(self.stage.world, signature=self.read_signature, files_every_s=2.0)
        self._before: Counter[str] = Counter()
        self._woken_before = 0

    def read_signature(self) -> Hashable:
        self.files_looked_at += 1
        return 0

    def begin(self) -> None:
        self._before = Counter(self.ledger.calls)
        self._woken_before = self.loop.jumps
        self.files_looked_at = 0

    @property
    def calls(self) -> Counter[str]:
        return Counter(self.ledger.calls) - self._before

    @property
    def wakeups(self) -> int:
        return self.loop.jumps - self._woken_before


def test_idle_hour_asks_the_ledger_seldom() -> None:
    """Once a second the daemon asks for the ledger's version, and only twice a minute what is due.

    It also asks after each report of its own, since the ledger in memory does not tell who has written.
    """
    night = IdleNight()
    night.loop.call_at(BEGIN_S, night.begin)

    night.play(BEGIN_S + HOUR_S)

    calls, reports = night.calls, HOUR_S / 20 + 1
    assert calls.pop("read_version") <= HOUR_S + 1
    assert calls["report"] <= reports
    assert calls["find_due"] <= HOUR_S / 30 + HOUR_S / 60 + reports
    assert calls["take_lead"] <= HOUR_S / 5 + 1
    assert calls.total() <= 4_000
    assert night.told_s == []


def test_idle_hour_wakes_the_loop_once_a_second() -> None:
    """All chores share their wake-ups with the watch of the clocks, and the files are seldom looked at."""
    night = IdleNight()
    night.loop.call_at(BEGIN_S, night.begin)

    night.play(BEGIN_S + HOUR_S)

    assert night.wakeups <= HOUR_S + 10
    assert night.files_looked_at <= HOUR_S / 2 + 1
