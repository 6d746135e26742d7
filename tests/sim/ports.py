"""The ports with faults at every await: one ledger as a node sees it, and one notifier."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.errors import LedgerUnavailable
from tests.sim.dice import SendFault, StoreFault

if TYPE_CHECKING:
    from tests.sim.facts import Sending
    from tests.sim.node import Node

MOMENT_S = 0.02
TIMEOUT_S = 30.0
HANG_S = 10_000.0
POISONED_FOR = timedelta(minutes=8)
"""Longer than a lease: by then another node has taken what ended the process."""

ASKED_AT = {"lease": 1, "begin": 1, "settle_and_begin": 2, "find_next_wake": 0, "take_lead": 1}
"""The calls that go by an instant of whoever asks, and which of the arguments that is."""


WRITES = frozenset(
    {
        "apply",
        "bind",
        "lease",
        "begin",
        "release",
        "settle",
        "settle_and_begin",
        "act",
        "take_lead",
        "report",
        "retire",
        "prune",
    }
)
"""The calls that write."""


class SimulatedBug(RuntimeError):
    """What a notifier raises that breaks its contract."""


class NodeLedger:
    """The shared ledger through one node's connection.

    A call is one transaction: it happens at one moment, with the node perhaps failing before or after it.
    """

    def __init__(self, node: Node, ledger: Any) -> None:
        self._node = node
        self._ledger = ledger

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._ledger, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._call(name, method, args, kwargs)

        return call

    def listen(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called when others have written: a hint, and sometimes it is lost."""
        self._node.heard = heard

    async def _call(
        self, name: str, method: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        node = self._node
        node.observer.called(node)
        await node.moment()
        fault = node.dice.store_fault() if name != "close" else StoreFault.NONE
        if self._node.is_cut_off or (self._node.is_full and name in WRITES):
            fault = StoreFault.FAILS_BEFORE
        elif fault:
            node.say("fault", f"{name} {fault}")
        match fault:
            case StoreFault.CRASH_BEFORE:
                node.crash()
            case StoreFault.STALL_BEFORE:
                node.stall()
            case StoreFault.SLOW_BEFORE:
                await asyncio.sleep(node.dice.slow_s())
            case StoreFault.FAILS_BEFORE:
                raise LedgerUnavailable(f"simulated: {name} was not done")
            case _:
                pass
        await node.gate()
        node.observer.asked(node, name, args)
        self._ledger.off = self._off(name, args)
        self._ledger.lacks = node.lacks
        result = await method(*args, **kwargs)
        node.observer.done(node, name, args, kwargs, result)
        match fault:
            case StoreFault.CRASH_AFTER:
                node.crash()
            case StoreFault.STALL_AFTER:
                node.stall()
            case StoreFault.SLOW_AFTER:
                await asyncio.sleep(node.dice.slow_s())
            case StoreFault.FAILS_AFTER:
                raise LedgerUnavailable(f"simulated: the connection broke when {name} was committed")
            case _:
                pass
        await node.moment()
        return result

    def _off(self, name: str, args: tuple[Any, ...]) -> timedelta:
        """How far ahead of the ledger's clock is the instant that this call goes by."""
        if self._ledger.clock is None or name not in ASKED_AT:
            return timedelta()
        by: datetime = args[ASKED_AT[name]]
        here: datetime = self._ledger.clock()
        return by - here


class SimNotifier:
    """One channel as one node reaches it; what arrives is written down as accepted."""

    def __init__(self, node: Node, channel: str) -> None:
        self._node = node
        self._channel = channel

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        node = self._node
        sending = node.observer.started(node, self._channel, message)
        fault = SendFault.BROKEN if node.is_silent(self._channel) else node.dice.send_fault()
        fault = SendFault.HANGS if node.is_hanging(self._channel) else fault
        sending.fault = fault
        node.say("send", f"{self._channel} {message.id} {node.observer.words(sending)} {fault}".rstrip())
        try:
            outcome = await self._send(sending, fault)
        except SimulatedBug:
            node.observer.answered(sending, "raised")
            raise
        node.observer.answered(sending, _name(outcome))
        return outcome

    async def _send(self, sending: Sending, fault: SendFault) -> Outcome:
        node, dice = self._node, self._node.dice
        arrive = node.observer.arrived
        await asyncio.sleep(MOMENT_S * (1 + dice.random.random()))
        if node.world.profile.send_s:
            await asyncio.sleep(node.world.profile.send_s * dice.random.random())
        if node.is_poisoned(self._channel, node.observer.milestones(sending)):
            node.world.attend(node.world.now() + POISONED_FOR)
            node.crash()
        match fault:
            case SendFault.TIMED_OUT:
                await asyncio.sleep(TIMEOUT_S)
                return Retry(reason="no answer", unknown=True)
            case SendFault.REFUSED:
                return Retry(reason="connection refused")
            case SendFault.TOO_MANY:
                sending.retry_after_s = dice.random.choice((1.0, 60.0, 1800.0, 20_000.0))
                return Retry(reason="429", after=timedelta(seconds=sending.retry_after_s))
            case SendFault.BROKEN:
                return Retry(reason="503")
            case SendFault.REJECTED:
                return Rejected(reason="410")
            case SendFault.HANGS:
                await asyncio.sleep(HANG_S)
            case SendFault.LATE:
                node.observer.later(dice.random.uniform(1.0, 3600.0), sending)
                await asyncio.sleep(TIMEOUT_S)
                return Retry(reason="no answer", unknown=True)
            case SendFault.CRASH if dice.random.random() < 0.5:
                node.crash()
            case SendFault.SLOW:
                await asyncio.sleep(dice.random.uniform(5.0, 110.0))
            case _:
                pass
        arrive(sending)
        match fault:
            case SendFault.ANSWER_LOST:
                await asyncio.sleep(TIMEOUT_S)
                return Retry(reason="no answer", unknown=True)
            case SendFault.HANGS_ACCEPTED:
                await asyncio.sleep(HANG_S)
            case SendFault.RAISES:
                raise SimulatedBug("simulated")
            case SendFault.CRASH:
                node.crash()
            case SendFault.STALL:
                node.stall()
            case _:
                pass
        await asyncio.sleep(MOMENT_S * dice.random.random())
        await node.gate()
        return Sent(state={name: {"id": sending.delivery} for name in node.observer.milestones(sending)})

    async def aclose(self) -> None:
        await self._node.gate()


class NodeClock:
    """A node's two clocks: the wall's can be wrong, the monotonic one is not."""

    def __init__(self, true: Callable[[], datetime], seconds: Callable[[], float]) -> None:
        self._true = true
        self._seconds = seconds
        self.off = timedelta()

    def now(self) -> datetime:
        return self._true() + self.off

    def monotonic(self) -> float:
        return 1000.0 + self._seconds()


def _name(outcome: Outcome) -> str:
    match outcome:
        case Sent():
            return "sent"
        case Retry():
            return "unknown" if outcome.unknown else "retry"
        case Rejected():
            return "rejected"
