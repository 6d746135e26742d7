"""Leader election: of the nodes on a ledger one leads and reconciles. Another takes over when it has gone.

Without a leader, nodes that read different files would undo each other's changes. A leader writes under its
term. Once another node has taken over, the ledger refuses writes under the old term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from alertd.errors import LeadLost
from alertd.ports import Clock, LeadershipLedger
from alertd.system.telemetry import Event, Log

LEAD_FOR = timedelta(seconds=15)
"""How long other nodes wait for a silent leader. A leader renews its lease three times in that time."""


@dataclass(slots=True, kw_only=True)
class LeaderLease:
    """A node's lease on the lead.

    Attributes:
        duration: for how long the node asks for the lead.
        is_gone: returns whether a node is known to be dead, so that its lease need not run out first.
        held: whether this node had the lead when it last asked.
        leader: the node that had the lead then; "" if it is not known.
    """

    ledger: LeadershipLedger
    clock: Clock
    log: Log
    node: str
    duration: timedelta = LEAD_FOR
    is_gone: Callable[[str], bool] = lambda _node: False
    held: bool = field(default=False, init=False)
    leader: str = field(default="", init=False)
    _term: int = field(default=0, init=False)
    _asked_s: float = field(default=0.0, init=False)

    @property
    def every_s(self) -> float:
        """Seconds between two renewals."""
        return self.duration.total_seconds() / 3

    async def ask(self) -> bool:
        """Take or renew the lead. Returns whether this node has the lead now and did not have it before."""
        asked_s = self.clock.monotonic()
        term, leader = await self.ledger.take_lead(self.node, self.clock.now(), duration=self.duration), ""
        if term is None:
            leader = await self.ledger.read_leader()
            if leader and self.is_gone(leader):
                term = await self.ledger.take_lead(
                    self.node, self.clock.now(), duration=self.duration, instead_of=leader
                )
        if term is None:
            self.lose()
            self._stand_by(leader)
            return False
        is_new = not self.held or term != self._term
        self.held, self._term, self._asked_s = True, term, asked_s
        self.leader = self.node
        if is_new:
            self.log.info(Event.LEAD_TAKEN, node=self.node, term=term)
        return is_new

    async def term(self) -> int:
        """Return the term to write under, and renew the lease first if a renewal is due.

        Raises:
            LeadLost: another node has the lead.
        """
        if self.clock.monotonic() - self._asked_s >= self.every_s:
            before = self._term
            if await self.ask():
                # What was read under the old term may have changed since.
                raise LeadLost(f"the lead of term {before} was lost; it is term {self._term} now")
        if not self.held:
            raise LeadLost("another node has the lead")
        return self._term

    def lose(self) -> None:
        """Record that another node has the lead by now."""
        if self.held:
            self.held, self.leader = False, ""
            self.log.warning(Event.LEAD_LOST, node=self.node, term=self._term)

    def _stand_by(self, leader: str) -> None:
        if leader != self.leader:
            self.log.info(Event.LEAD_AWAITED, node=self.node, leader=leader)
        self.leader = leader
