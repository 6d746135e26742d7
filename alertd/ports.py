"""The contracts between the decisions and the world: clock, ledger, notifier.

Every implementation of a protocol passes the same suite in ``tests/contract/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Protocol

from alertd.core.ledger.outcome import Outcome
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Lease,
    Record,
    ScheduledReminder,
)
from alertd.core.message.message import Message
from alertd.core.milestones.status import Action
from alertd.core.planning.audit import Waiting
from alertd.core.planning.decide import Decisions
from alertd.core.reason import Reason
from alertd.core.routing.digest import NextDigest


class Clock(Protocol):
    """Two clocks: the wall for deadlines, the monotonic one for how long things took."""

    def now(self) -> datetime:
        """The wall clock, an aware UTC instant. It may step in either direction."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back, and stands still in suspend."""


class Notifier(Protocol):
    """Sends one message, once.

    Eligible for retry is what it returns as :class:`Retry`; ``engine/dispatch.py`` alone retries.
    It never raises for a remote failure, never sleeps, never retries, and puts no secret into a
    reason. ``send`` may be called twice with the same ``message.id``: a receiver can drop the
    repeat by it, so the id must be visible to the receiver.
    """

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        """Send ``message``.

        Args:
            prior: by full milestone id, what the last accepted send of this notifier returned
                as ``Sent.state``.
        """

    async def aclose(self) -> None:
        """Give back connections. Called once, after the last ``send`` has returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What reconciling writes, in one transaction.

    Attributes:
        records: definitions, values, revision, file and withdrawn are written; ``status`` and
            ``loaded_at`` of a record that is there already are left as they are, since a person
            may be changing the status at this moment.
        owed: inserted when the key is new, in the state that it carries; when it is there and
            pending or cancelled, ``at``, ``wake_at``, ``group``, ``move``, ``state`` and ``reason``
            become exactly what is given, so that what was cancelled can be pending again and what
            waits waits no longer; in any other state it is left alone, so nothing is ever owed twice.
        cancelled: keys of pending occurrences that are owed no more, each with the reason.
        history: appended.
        deliveries: notices to the operator; one whose id is there already is left alone.
        digests: inserted when the key is new; when it is there, ``at`` is written unless that digest has
            been made since (another ``since``).
        no_digests: keys of digests that are owed no more.
    """

    records: tuple[Record, ...] = ()
    owed: tuple[ScheduledReminder, ...] = ()
    cancelled: tuple[tuple[str, Reason], ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    digests: tuple[NextDigest, ...] = ()
    no_digests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a leased delivery ended, or when it is to be tried again.

    Attributes:
        state: ``ready`` to try again at ``next_at``; anything else is final.
        attempt: the try itself; None when nothing was tried (all members unwanted).
        told: keys of the members that were in the message, when it was accepted.
        remember: what to hand to the next send for the same milestone, by full id, or for the same channel.
        follow_up: deliveries to write down with it: the fallback's, a notice.
        outcome: what the notifier returned; not written down, but what the channel's gate goes by.
    """

    lease: Lease
    state: DeliveryState
    at: datetime
    reason: Reason | None = None
    next_at: datetime | None = None
    attempt: Attempt | None = None
    told: tuple[str, ...] = ()
    remember: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    follow_up: tuple[Delivery, ...] = ()
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What a daemon says of itself, for ``alertd status``.

    Attributes:
        problems: ``file:line:column: message`` of each problem in the files it runs on.
        config_id: digest of all files that were loaded.
        stopped: it has ended, and said so.
        findings: what its last self-audit found wrong.
        paused: channels that do not answer it at the moment.
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


class Ledger(Protocol):
    """The record of what is owed and what was done: the schedule, and the truth.

    Promises: each method is one transaction, and what it returned for is on disk. Any number of
    processes may call at once. No method reads a clock: ``now`` is given. Raises
    :class:`alertd.errors.LedgerError` and nothing else; after it nothing of the call was done,
    or (when the connection broke during a commit) all of it was: every writing method may be
    called again with the same arguments and then does nothing twice. Raises SchemaTooNew from every
    writing method once a newer alertd has migrated it.

    Leases and the lead end by the ledger's own time: that is ``now`` where one machine uses it, and
    the database's clock where many do, so that a node whose clock is wrong takes nothing from others.
    """

    # -- reconcile
    async def timelines(self) -> Mapping[str, str]:
        """The file of each timeline that has a record not withdrawn, by timeline id."""

    async def timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        """All records of a timeline, withdrawn ones too, and all that is owed for them."""

    async def done_dates(self) -> Mapping[str, date]:
        """The local done date of each milestone that is done, by full id."""

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        """Write what reconciling found.

        Args:
            term: of the lead under which it was found; LeadLost when another node leads by now.
        """

    async def lead(self, node: str, now: datetime, *, for_: timedelta, instead_of: str = "") -> int | None:
        """Take the lead, or keep it for ``for_`` from now: only who leads may reconcile.

        Granted when nobody has it, when ``node`` has it, and when whoever has it has let it run out or
        is ``instead_of``, of whom it is known that it is dead. Returns the term, which rises by one
        when another node takes over; None: another has it.
        """

    async def leader(self) -> str:
        """Who has the lead, or had it last; "" when nobody had or it was given back."""

    async def digests(self) -> Sequence[NextDigest]:
        """Every digest that is owed next, the earliest first."""

    # -- dispatch
    async def due(self, now: datetime, limit: int) -> Sequence[tuple[ScheduledReminder, Record]]:
        """What is pending and has ``wake_at <= now``.

        Whole sets: for each milestone and receiver that has one such, all that are pending with
        ``at <= now``, also those with a later ``wake_at``. The sets whose earliest ``at`` is
        oldest come first, ``limit`` sets at the most.
        """

    async def held(self, receiver: str, now: datetime) -> Sequence[tuple[ScheduledReminder, Record]]:
        """All that is pending for a receiver and has ``at <= now``, whatever it waits for; sorted by
        milestone, ``at`` and key."""

    async def windows(self, receiver: str, before: datetime) -> Sequence[tuple[str, str, datetime]]:
        """Windows of which the receiver has a reminder, whatever its state but cancelled, that is due
        before ``before``: the milestone's id, the window's id, and the record's ``changed_at``; sorted.

        Of milestones that are neither withdrawn nor done.
        """

    async def records_of(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        """Those of the records that there are, by full id."""

    async def bind(self, decisions: Decisions) -> bool:
        """Write deliveries down and verdicts with them, and what digest comes after one that is made.

        All or nothing: when any occurrence of the verdicts is not pending any more (another node
        was faster, or a reload changed it), or the digest has been made already, nothing is done and
        False returned. A delivery whose id is there already is left alone.
        """

    async def lease(
        self,
        owner: str,
        now: datetime,
        *,
        for_: timedelta,
        limit: int,
        per_channel: int,
        most: Mapping[str, int] = MappingProxyType({}),
    ) -> Sequence[Lease]:
        """Take ready deliveries with ``next_at <= now`` that nobody holds a live lease on.

        Oldest ``next_at`` first, at most ``limit`` in all, at most ``per_channel`` of one
        channel, and no more than ``most`` says of a channel that it names. A lease is live while
        the ledger's time is before its ``until``, which is ``for_`` from now. Each lease raises the
        delivery's fence by one.
        """

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Write down how deliveries ended. Returns the ids that were *not* settled.

        Not settled is a delivery that was leased again since (an older fence), or is final.
        A settlement that says ``ready`` ends the lease.
        """

    async def next_wake(self, after: datetime, shut: frozenset[str] = frozenset()) -> datetime | None:
        """The earliest instant at which something may be to do: the ``wake_at`` of what is
        pending, the ``at`` of the digests, the ``next_at`` or, while it is leased beyond ``after``,
        the lease's end of what is ready and not of a channel in ``shut``; by the caller's clock. It may
        lie in the past.
        None: nothing is waiting."""

    # -- people
    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        """Record what somebody said, its history entry, and ``owed`` as in :class:`Changes`.

        Raises UnknownMilestone or RefusedAction. Returns the record as it stands after.
        """

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        """Make a dead delivery ready again, its horizon counted from ``now``.

        What is remembered of its channel itself is forgotten: a channel that was stopped is tried again.
        Raises UnknownDelivery or RefusedAction.
        """

    # -- readers
    async def record(self, milestone: str) -> Record | None:
        """One record."""

    async def records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        """All records not withdrawn, sorted by id.

        Args:
            after: only those that come after this id in that order, which is the ledger's own.
            limit: at most so many.
        """

    async def owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        """All that is or was owed for one milestone, sorted by ``at``."""

    async def coming(self, limit: int) -> Sequence[ScheduledReminder]:
        """What is pending, by ``wake_at``, the earliest first."""

    async def deliveries(
        self,
        *,
        delivery: str = "",
        milestone: str = "",
        state: DeliveryState | None = None,
        receiver: str = "",
        text: str = "",
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]:
        """Deliveries with their attempts and members, the newest first.

        Args:
            delivery: this one alone, by its id.
            text: what its id, its channel, its reason or the id of a milestone that it carries must contain;
                upper and lower case are the same, in ASCII at least.
            before: the ``bound_at`` and the id of a delivery: those that come after it in this order.
        """

    async def touched(self, timeline: str = "") -> Sequence[tuple[Record, datetime]]:
        """All records of one timeline or of all, withdrawn ones too, sorted by id.

        With each: when something last happened to it that its history keeps, else when it last changed.
        """

    async def history(
        self, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
    ) -> Sequence[HistoryEntry]:
        """Entries of one milestone, of a timeline or of all, and of one kind or of all, the newest first."""

    async def moves(self, milestones: Sequence[str]) -> Mapping[str, HistoryEntry]:
        """The last entry ``moved`` of each of the milestones that has one, by full id."""

    async def counts(self) -> Mapping[str, int]:
        """How many rows: ``milestones``, ``owed.<state>`` and ``deliveries.<state>``."""

    async def waiting(self, now: datetime, shut: frozenset[str] = frozenset()) -> Waiting:
        """What waits longest; for the self-audit. ``shut``: channels that let nothing through."""

    async def known(self, owed: Sequence[str] = (), deliveries: Sequence[str] = ()) -> frozenset[str]:
        """Those of the keys and ids that the ledger has."""

    # -- nodes and upkeep
    async def report(self, node: NodeReport) -> None:
        """Write what a daemon says of itself, over what it said before.

        Reports that are older by more than :data:`KEEP_REPORTS` are forgotten.
        """

    async def retire(self, node: str) -> None:
        """Say that a daemon has ended: its lead, if it has it, is free for others at once."""

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        """Forget at most ``limit`` milestones with all that is about them, and as many notices.

        Forgotten is a milestone that is withdrawn, of which nothing was written down since ``before`` and
        nothing is on its way; and a notice that was settled before then. What was sent for a milestone that
        lives is never forgotten: it is what keeps a reminder from being sent twice. Returns how many rows:
        ``milestones`` and ``deliveries``; to be called again while there were any.
        """

    async def nodes(self) -> Sequence[NodeReport]:
        """What every daemon last said, the latest first."""

    async def size(self) -> int:
        """Bytes that it takes on the disk; 0 where it takes none."""

    async def shared_secret(self, made: str) -> str:
        """The secret that all who use this ledger share: the one that is there, else ``made`` from now on."""

    async def time(self) -> datetime | None:
        """What time it is by the ledger's own clock; None where it has none but its caller's."""

    async def version(self) -> str:
        """A value that changes whenever another process has written; cheap to ask for."""

    def listen(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called in the running loop soon after another process has written.

        A hint: where nothing tells, and while a connection is broken, it is never called.
        """

    async def close(self) -> None:
        """Give back the connection. Safe to call twice."""


LEASE_FOR = timedelta(minutes=5)
"""How long a delivery is taken for; longer than any notifier's total deadline."""

KEEP_REPORTS = timedelta(days=30)
"""How long the report of a daemon that is gone is kept: each start of one is a node of its own."""
