"""The lag of the event loop is measured where the loop wakes anyway, and is a finding when it lasts."""

import asyncio
from datetime import timedelta
from typing import Any

from alertd.core.planning.audit import AuditFault
from alertd.engine.clocks import COMPARE_EVERY_S, ClockMonitor
from alertd.engine.loop_lag import CLOSER_TIMES, MINUTE_S, SLOW_MINUTES, SLOW_S, LoopLag
from alertd.engine.observer import Observer
from tests.scene import StepClock, a_log, when
from tests.sim.loop import VirtualLoop, run_virtually

NOW = when("2026-09-24T08:00")
MARGIN_S = 0.001


class Told(Observer):
    """Keeps the lags that it is told."""

    def __init__(self) -> None:
        self.lags: list[float] = []

    def lagged(self, lag_s: float) -> None:
        self.lags.append(lag_s)


class BlockedLoop(VirtualLoop):
    """A loop whose time can pass without a chance for its timers, as in a call that does not give way."""

    def block(self, seconds: float) -> None:
        self._now += seconds


class Plain:
    """A handle of uvloop for a callback that is due at once: it does not tell when."""

    _source_traceback = None

    def __init__(self, handle: asyncio.TimerHandle) -> None:
        self.cancel = handle.cancel


class PlainLoop(BlockedLoop):
    """A loop with such handles."""

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        return Plain(super().call_at(when, callback, *args, context=context))


def measure(blocks_s: float, lasts_s: float, loop: BlockedLoop | None = None) -> list[float]:
    """Return the lags within ``lasts_s`` after a block that begins just before a wake-up."""
    loop, told, clock = loop or BlockedLoop(), Told(), StepClock(NOW)
    lag = LoopLag(clock, told)
    monitor = ClockMonitor(clock, a_log()[0], on_woken=lag.note)

    async def work() -> None:
        monitor.start()
        await asyncio.sleep(COMPARE_EVERY_S / 2)  # noqa: TID251  virtual time
        loop.block(blocks_s)
        await asyncio.sleep(lasts_s)  # noqa: TID251  virtual time
        monitor.stop()
        lag.stop()

    run_virtually(work(), loop)
    return told.lags


def test_block_is_measured_at_the_next_wakeup() -> None:
    """The wake-up was to come after half a second, and the block lasted 0.8 s."""
    assert abs(max(measure(0.8, lasts_s=3)) - 0.3) < MARGIN_S


def test_lag_is_measured_with_handles_that_do_not_tell_when_they_are_due() -> None:
    """With uvloop, a wake-up that was due in less than a millisecond once ended the measurement for good."""
    assert measure(0.8, lasts_s=3, loop=PlainLoop()) == measure(0.8, lasts_s=3)


def test_idle_loop_is_woken_once_a_second() -> None:
    """The measurement itself costs an idle daemon nothing: the clock monitor wakes each second anyway."""
    assert len(measure(0, lasts_s=60)) == 60


def test_lag_is_measured_more_often_for_a_second_after_a_block() -> None:
    without, with_block = measure(0, lasts_s=60), measure(0.8, lasts_s=60)

    assert 0 <= len(with_block) - len(without) - CLOSER_TIMES <= 1


def live(lag: LoopLag, clock: StepClock, minutes: int, slow_in_ten: int) -> None:
    """Let minutes pass, with a wake-up each second, and this many of ten of them slow."""
    for second in range(minutes * round(MINUTE_S)):
        clock.advance(clock.at + timedelta(seconds=1))
        lag._record(2 * SLOW_S if second % 10 < slow_in_ten else 0.0)


def test_lag_that_lasts_is_a_finding_until_it_is_over() -> None:
    clock = StepClock(NOW)
    lag = LoopLag(clock, Observer())

    live(lag, clock, SLOW_MINUTES - 1, slow_in_ten=1)
    early = list(lag.findings())
    live(lag, clock, 2, slow_in_ten=1)
    found = list(lag.findings())
    live(lag, clock, 2, slow_in_ten=0)

    assert not early
    (finding,) = found
    assert finding.fault is AuditFault.LAGGING
    assert "the loop has woken late since 2026-09-24 08:0" in finding.detail
    assert not list(lag.findings())


def test_one_slow_wakeup_a_minute_is_no_finding() -> None:
    """A reload now and then blocks for a moment. That is a metric, and no finding."""
    clock = StepClock(NOW)
    lag = LoopLag(clock, Observer())

    for _ in range(2 * SLOW_MINUTES):
        live(lag, clock, 1, slow_in_ten=0)
        lag._record(2 * SLOW_S)

    assert not list(lag.findings())
