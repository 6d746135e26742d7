"""What a daemon knows about itself without the ledger: whether it can write, is late, or is stuck.

The ledger cannot record that it cannot be written. So this state is in memory, and the health check, the
metrics, systemd's status line, the dead man's switch and the control socket read it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime

from alertd.core.planning.audit import AuditFault, AuditFinding
from alertd.engine.timer import LOOK_AGAIN_S
from alertd.ports import Clock

UNWRITABLE_AFTER_S = 20.0
"""How long the ledger must fail before that is a finding. A failover or a long lock is over sooner."""

LATE_AFTER_S = 30.0
STUCK_AFTER_S = 30.0
WATCH_EVERY_S = 5.0


class Liveness:
    """Records how the looks of the loop end, and finds faults in that. It never asks the ledger."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looking_since: tuple[float, datetime] | None = None
        self._ended_s = clock.monotonic()
        self._ended_at: datetime | None = None
        self._due: tuple[float, datetime] | None = None
        self._failing: tuple[float, datetime] | None = None
        self._reason = ""

    def begin_look(self) -> None:
        """Record that a look begins."""
        self._looking_since = (self._clock.monotonic(), self._clock.now())

    def finish_look(self, next_at: datetime | None) -> None:
        """Record that a look has done everything that was to be done.

        Args:
            next_at: when something is due next (UTC); None: nothing is.
        """
        self._end()
        self._failing, self._reason = None, ""
        self.note_next(next_at)

    def note_next(self, next_at: datetime | None) -> None:
        """Record that what was due is sent, and when something is due next; the look may go on."""
        now = self._clock.now()
        # By the monotonic clock, so that nothing seems late because the wall clock was set.
        wait_s = max(0.0, (next_at - now).total_seconds()) if next_at is not None else 0.0
        due_s = self._clock.monotonic() + wait_s
        self._due = None if next_at is None else (due_s, max(next_at, now))

    def fail_look(self, reason: str) -> None:
        """Record that a look ended because the ledger failed."""
        began = self._looking_since or (self._clock.monotonic(), self._clock.now())
        self._end()
        self._failing = self._failing or began
        self._reason = reason

    def give_up_look(self) -> None:
        """Record that a look ended early, because the next try is not due yet or the daemon ends."""
        self._end()

    def _end(self) -> None:
        self._looking_since = None
        self._ended_s, self._ended_at = self._clock.monotonic(), self._clock.now()

    @property
    def failing_s(self) -> float:
        """For how long the ledger has failed, in seconds; 0 while it works."""
        return self._clock.monotonic() - self._failing[0] if self._failing else 0.0

    @property
    def look_age_s(self) -> float:
        """Seconds since a look of the loop last ended."""
        return self._clock.monotonic() - self._ended_s

    def findings(self) -> tuple[AuditFinding, ...]:
        """Return the faults of this moment. The sentences stay the same while a fault lasts."""
        return tuple(self._find())

    def _find(self) -> Iterator[AuditFinding]:
        now_s = self._clock.monotonic()
        if self._failing is not None and self.failing_s >= UNWRITABLE_AFTER_S:
            detail = f"the ledger cannot be written since {_format(self._failing[1])}: {self._reason}"
            yield AuditFinding(fault=AuditFault.UNWRITABLE, detail=detail)
        if self._due is not None and now_s - self._due[0] >= LATE_AFTER_S:
            detail = f"what is due since {_format(self._due[1])} has not been sent"
            yield AuditFinding(fault=AuditFault.LATE, detail=detail)
        if self._is_stuck(now_s):
            since = "the start" if self._ended_at is None else _format(self._ended_at)
            detail = f"the loop has not finished anything since {since}"
            yield AuditFinding(fault=AuditFault.STUCK, detail=detail)

    def _is_stuck(self, now_s: float) -> bool:
        if self._looking_since is not None:
            return now_s - self._looking_since[0] >= STUCK_AFTER_S
        # Between two looks the loop waits. It has not begun yet while no look has ended.
        return self._ended_at is not None and now_s - self._ended_s >= LOOK_AGAIN_S + STUCK_AFTER_S


class Watch:
    """Looks at the loop from outside of it every five seconds.

    Args:
        find: returns the faults of this moment.
        has_stalled: returns whether the process has stood still since an instant of the monotonic clock. The
            loop could not do anything then, so one interval is skipped.
        tell: called with the faults of this moment, and with whether they have changed.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        find: Callable[[], tuple[AuditFinding, ...]],
        has_stalled: Callable[[float], bool],
        tell: Callable[[tuple[AuditFinding, ...], bool], None],
    ) -> None:
        self._clock = clock
        self._find = find
        self._has_stalled = has_stalled
        self._tell = tell
        self._last: tuple[AuditFinding, ...] = ()
        self._looked_s = clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch from now on, in the running loop."""
        self._looked_s = self._clock.monotonic()
        self._set_timer()

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Tell the faults of this moment."""
        since_s, self._looked_s = self._looked_s, self._clock.monotonic()
        if self._has_stalled(since_s):
            return
        found = self._find()
        has_changed = {finding.fault for finding in found} != {finding.fault for finding in self._last}
        self._last = found
        self._tell(found, has_changed)

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(WATCH_EVERY_S, self._look_again)

    def _look_again(self) -> None:
        self._set_timer()
        self.look()


def _format(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
