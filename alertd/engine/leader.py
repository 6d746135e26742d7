"""The lead: of all nodes on one ledger one reconciles, and another takes over soon after it has gone.

Nodes that read different files would else undo what each other wrote. What a node writes as the leader it
writes under its term: once another has taken over, the ledger refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from alertd.errors import LeadLost
from alertd.ports import Clock, LeadershipLedger
from alertd.system.telemetry import Event, Log

LEAD_FOR = timedelta(seconds=15)
"""How long a leader that says nothing more is waited for. It says so three times in that time."""


@dataclass(slots=True, kw_only=True)
class LeaderLease:
    """One node's part in it.

    Attributes:
        duration: how long the lead is asked for at a time.
        is_gone: whether a node is known to be dead, so that its lead need not run out.
        held: whether this node had the lead when it last asked.
    """

    ledger: LeadershipLedger
    clock: Clock
    log: Log
    node: str
    duration: timedelta = LEAD_FOR
    is_gone: Callable[[str], bool] = lambda _node: False
    held: bool = field(default=False, init=False)
    _term: int = field(default=0, init=False)
    _asked_s: float = field(default=0.0, init=False)

    @property
    def every_s(self) -> float:
        """How often to ask."""
        return self.duration.total_seconds() / 3

    async def ask(self) -> bool:
        """Take the lead or keep it. True: this node has it now, and has not had it just before."""
        asked_s = self.clock.monotonic()
        term = await self.ledger.take_lead(self.node, self.clock.now(), duration=self.duration)
        if term is None:
            leader = await self.ledger.read_leader()
            if leader and self.is_gone(leader):
                term = await self.ledger.take_lead(
                    self.node, self.clock.now(), duration=self.duration, instead_of=leader
                )
        if term is None:
            self.lose()
            return False
        is_new = not self.held or term != self._term
        self.held, self._term, self._asked_s = True, term, asked_s
        if is_new:
            self.log.info(Event.LEAD_TAKEN, node=self.node, term=term)
        return is_new

    async def term(self) -> int:
        """The term to write under, renewed when it is time for it.

        Raises:
            LeadLost: another node has the lead.
        """
        if self.clock.monotonic() - self._asked_s >= self.every_s:
            before = self._term
            if await self.ask():
                # What was found under the old one may not be so any more.
                raise LeadLost(f"the lead of term {before} was lost; it is term {self._term} now")
        if not self.held:
            raise LeadLost("another node has the lead")
        return self._term

    def lose(self) -> None:
        """It is another's by now."""
        if self.held:
            self.held = False
            self.log.warning(Event.LEAD_LOST, node=self.node, term=self._term)
