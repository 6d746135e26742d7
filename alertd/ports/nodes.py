"""Which nodes there are, and which of them leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What a daemon reports about itself, for ``alertd status``.

    Attributes:
        problems: ``file:line:column: message`` of each problem in the files it runs on.
        config_id: the fingerprint of all files that were loaded.
        stopped: the daemon has ended and reported that.
        findings: the findings of its last self-audit.
        paused: channels whose receiver does not answer this node.
    """

    node: str
    version: str
    started_at: datetime
    seen_at: datetime
    config_id: str = ""
    problems: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    stopped: bool = False
    findings: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


class NodeReader(Protocol):
    """Tells which nodes there are and which of them leads. Anybody may call, and nothing is changed."""

    async def read_leader(self) -> str:
        """Return the node that leads or led last; "" if there was none, or if it has retired."""

    async def read_nodes(self) -> Sequence[NodeReport]:
        """Return the last report of every daemon, the latest first."""


class LeadershipLedger(NodeReader, Protocol):
    """Decides which node leads.

    Any node may call, as often as it likes. At most one node leads at a time. A node that was the leader may
    still believe that it leads: its term is out of date, so :meth:`ChangeWriter.apply` rejects its changes.
    """

    async def take_lead(
        self, node: str, now: datetime, *, duration: timedelta, instead_of: str = ""
    ) -> int | None:
        """Make ``node`` the leader, or renew its leadership, until ``duration`` from now.

        Granted if no node leads, if ``node`` leads, if the leader has let its leadership run out, and if the
        leader is ``instead_of``, which the caller knows to be dead. A leadership that ends later than twice
        ``duration`` from now was taken by a clock that was ahead, and counts as run out.

        Returns:
            the term, which rises by one when another node takes over; None: another node leads.
        """


class NodeRegistry(NodeReader, Protocol):
    """Keeps what each daemon reports about itself. A daemon may report again, and retire twice."""

    async def report(self, node: NodeReport) -> None:
        """Replace the daemon's previous report.

        Reports that are older than this one by more than :data:`KEEP_REPORTS` are deleted.
        """

    async def retire(self, node: str) -> None:
        """Record that a daemon has ended. If it leads, another node can take over at once."""


KEEP_REPORTS = timedelta(days=30)
"""How long the report of a daemon that is gone is kept: each start of one is a node of its own."""
