"""The contracts between the decisions and the world: clock, notifier, and the ledger by role.

Every implementation of a protocol passes the same suite in ``tests/contract/``. These rules hold for each
role of the ledger:

- Each method is one transaction. When the method returns, its result is on disk.
- Any number of processes may call at the same time.
- No method reads this machine's clock: ``now`` is a parameter. Leases and the leadership end by the ledger's
  own time. That is ``now`` if one machine uses the ledger, and the database's clock if several machines share
  it. So a node whose clock is wrong cannot take work from another node.
- A method raises :class:`alertd.errors.LedgerError` and nothing else. Then the call has changed nothing,
  unless the connection broke during the commit: then the call may have taken effect completely. So every
  method that writes may be called again with the same arguments, and does nothing twice.
- A row that cannot be read (a zone that this machine lacks, a damaged value) is left out of what a method
  returns, and out of what is due, leased and waiting. Nothing is decided about it, and it holds up nothing
  else. :meth:`LedgerReader.find_unreadable` names such rows.
- After a newer alertd has migrated the ledger, every method that writes raises SchemaTooNew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from alertd.core.ledger.file import FileLoss
from alertd.core.ledger.outcome import Outcome
from alertd.core.ledger.records import (
    Attempt,
    Delivery,
    DeliveryState,
    HistoryEntry,
    Known,
    Lease,
    Record,
    ScheduledReminder,
)
from alertd.core.ledger.unreadable import Unreadable
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

    A send is tried again only if the notifier returns :class:`Retry`, and only by ``engine/delivery.py``.
    The notifier never raises for a remote failure, never sleeps, never retries, and puts no secret into a
    reason. ``send`` may be called twice with the same ``message.id``. The receiver must see the id, so that
    it can drop the repeat.
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
        remember: state for the next send for the same milestone, by full id, or for the same channel.
        follow_up: deliveries to write down with it: the fallback's, a notice.
        outcome: the notifier's outcome. It is not written down; the channel's backpressure is updated by it.
        tried_from: where the retry horizon starts from now on; None: it stays where it is.
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
    tried_from: datetime | None = None


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


class ChangeWriter(Protocol):
    """Writes changes to what is scheduled, and notices to the operator.

    Any node may write notices. Only the leader may write the rest, and passes the term of its leadership.
    The same changes may be written twice.
    """

    async def apply(self, changes: Changes, *, term: int | None = None) -> None:
        """Write ``changes`` in one transaction.

        Args:
            term: the term of the leadership under which the changes were computed; None: check no term.

        Raises:
            LeadLost: another node leads now, so nothing was written.
        """


class DigestSchedule(Protocol):
    """Lists the digests that are owed next. Any node may call."""

    async def read_digests(self) -> Sequence[NextDigest]:
        """Return every digest that is owed next, the earliest first."""


class TimelineReader(Protocol):
    """Reads what the ledger has of whole timelines. Anybody may call, and nothing is changed."""

    async def read_timelines(self) -> Mapping[str, str]:
        """Return the file of each timeline that has a record that is not withdrawn, by timeline id."""

    async def read_timeline(self, timeline: str) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        """Return all records of a timeline, withdrawn ones too, and the reminders that may still be sent.

        These are the pending ones, and the moves that were held back because their milestone was closed.
        """

    async def read_milestones(
        self, milestones: Sequence[str]
    ) -> tuple[Sequence[Record], Sequence[ScheduledReminder]]:
        """Return the records with these full ids, and their reminders as :meth:`read_timeline` does."""

    async def read_records_by_id(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        """As :meth:`MilestoneLookup.read_records_by_id`."""

    async def read_reminders(self, keys: Sequence[str]) -> Sequence[ScheduledReminder]:
        """As :meth:`MilestoneLookup.read_reminders`."""

    async def read_latest(self, milestones: Sequence[str]) -> Sequence[ScheduledReminder]:
        """Return what tells who knows what about these milestones, sorted by ``at`` and key.

        Of each receiver, window, cause and state, this is the reminder that was told last, or due last. Of
        the moves, these are the last :data:`MOVES_READ` of each receiver. The number does not grow with the
        history.
        """

    async def read_done_dates(self) -> Mapping[str, date]:
        """Return the local done date of each milestone that is done, by full id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptConfig:
    """The content of ``alertd.yaml`` as a node last accepted it.

    Attributes:
        text: the content, in YAML and without secrets; "" if the configuration cannot be kept.
        node: the node that accepted it.
        at: when, an aware UTC instant.
    """

    text: str = field(repr=False)
    node: str
    at: datetime


class ConfigKeeper(Protocol):
    """Keeps the configuration with which a daemon starts while ``alertd.yaml`` is broken.

    Any node may read. Only the leader may write, as often as it likes.
    """

    async def keep_config(self, kept: KeptConfig, *, term: int) -> None:
        """Replace the kept configuration. Without a text, none is kept from now on.

        Raises:
            LeadLost: another node leads now, so nothing was written.
        """

    async def read_kept_config(self) -> KeptConfig | None:
        """Return the kept configuration; None if none is kept."""


class KeyLookup(Protocol):
    """Tells which reminders and deliveries there are, also those that cannot be read. Anybody may call."""

    async def find_known(self, owed: Sequence[str] = (), deliveries: Sequence[str] = ()) -> frozenset[str]:
        """Return those of the reminders' keys and the deliveries' ids that the ledger has."""


class PlanningLedger(TimelineReader, DigestSchedule, KeyLookup, ChangeWriter, Protocol):
    """What reconciling reads and writes.

    Any node may read. Only the leader may write, so that nodes with different files do not undo each other's
    changes. A pass that was interrupted may be repeated: the same definitions write nothing the second time.
    """


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


class MilestoneLookup(Protocol):
    """Finds what the ledger has about a milestone, withdrawn or not, by its full id. Anybody may call."""

    async def read_record(self, milestone: str) -> Record | None:
        """Return the record of a milestone; None if the ledger has none.

        Raises:
            UnreadableRow: the ledger has a record of the milestone that cannot be read.
        """

    async def read_records_by_id(self, milestones: Sequence[str]) -> Mapping[str, Record]:
        """Return the records that exist, by full id."""

    async def read_reminders(self, keys: Sequence[str]) -> Sequence[ScheduledReminder]:
        """Return those of the reminders with these keys that the ledger has, sorted by ``at`` and key."""

    async def read_owed(self, milestone: str) -> Sequence[ScheduledReminder]:
        """Return all reminders of one milestone, past ones too, sorted by ``at``."""


class ReminderQueue(DigestSchedule, MilestoneLookup, KeyLookup, Protocol):
    """The reminders that are pending, and the decision about each.

    Any node may decide, whether it leads or not. Two nodes may decide about the same reminder at the same
    time: the first call of :meth:`bind` takes effect, and the second changes nothing. So a reminder is bound
    once.
    """

    async def find_due(
        self, now: datetime, limit: int, besides: Collection[str] = (), skip: int = 0
    ) -> Sequence[tuple[ScheduledReminder, Record]]:
        """Return the pending reminders with ``wake_at <= now``, in whole sets.

        A set is one milestone and one receiver. If one reminder of a set is returned, so are all pending
        reminders of the set with ``at <= now``, even those with a later ``wake_at``. The sets whose earliest
        ``at`` is oldest come first.

        Args:
            limit: the maximum number of sets.
            besides: receivers whose reminders are left out.
            skip: how many of the first sets are left out.
        """

    async def find_strays(self, known: Known, limit: int) -> Sequence[tuple[ScheduledReminder, Record]]:
        """Return the reminders that are strays; see :class:`alertd.core.ledger.records.Known`.

        They are those that :meth:`find_due` returns at ``known.strays_before`` for receivers that are neither
        known nor known elsewhere.

        Args:
            limit: the maximum number of sets.
        """

    async def read_held(self, receiver: str, now: datetime) -> Sequence[tuple[ScheduledReminder, Record]]:
        """Return a receiver's pending reminders with ``at <= now``, whatever they wait for.

        They are sorted by milestone, ``at`` and key.
        """

    async def read_windows(self, receiver: str, before: datetime) -> Sequence[tuple[str, str, datetime]]:
        """Return the windows for which the receiver has a reminder with ``at < before``.

        Reminders that are cancelled do not count, and milestones that are withdrawn or done are left out.
        Each window is the milestone's id, the window's id and the record's ``changed_at``; the windows are
        sorted.
        """

    async def bind(self, decisions: Decisions) -> bool:
        """Write the verdicts, their deliveries, the repeats and the digest that follow.

        The repeats are written as ``owed`` in :class:`Changes`.

        All or nothing. Nothing is written if a reminder of the verdicts is no longer pending (another node
        was faster, or a reload changed it), or if the digest has already been made. A delivery whose id
        exists is left as it is.

        Returns:
            whether the decisions were written.
        """


class LostLeases(Enum):
    """What :meth:`DeliveryQueue.lease` does with deliveries whose last lease was lost."""

    INCLUDED = "included"
    """Leases them as it does all others."""
    LEFT_OUT = "left out"
    """Does not lease them."""
    FEW = "few"
    """Leases nothing else, and of these one for each channel that has lost one lease."""
    ALONE = "alone"
    """As ``FEW``, and if there is no such delivery, leases one that has lost more leases."""


class DeliveryQueue(Protocol):
    """The deliveries that are ready, and the leases on them.

    Any node may lease. While a lease is live, no other node gets the delivery. A lease that runs out before
    the delivery is settled is given to another node, so a delivery may be sent twice, under the same id. Only
    the node with the latest lease can settle the delivery.
    """

    async def lease(
        self,
        owner: str,
        now: datetime,
        *,
        duration: timedelta,
        limit: int,
        per_channel: int,
        most: Mapping[str, int] = MappingProxyType({}),
        held: Collection[str] = (),
        lost: LostLeases = LostLeases.INCLUDED,
        known: Known | None = None,
    ) -> Sequence[Lease]:
        """Lease ready deliveries with ``next_at <= now`` that have no live lease, the oldest first.

        A lease is live while the ledger's time is before its ``until``, which is ``duration`` from now. Each
        lease raises the delivery's fence by one. A lease that ends later than ``duration`` and
        :data:`LEASE_FOR` from now was taken by a clock that was ahead, so it is not live.

        A lease that has run out and that nobody has settled is lost. Leasing its delivery again records an
        attempt with an unknown outcome and raises ``lost_leases`` by one. A settlement with an attempt makes
        ``lost_leases`` 0.

        Args:
            limit: the maximum number of leases.
            per_channel: the maximum number of leases for one channel.
            most: a lower maximum for each channel that it names.
            held: ids of deliveries that the caller is sending or has not settled yet. Their leases are not
                lost.
            lost: what is done with deliveries whose last lease was lost. ``limit`` and ``per_channel`` do not
                count for ``FEW`` and ``ALONE``, and a channel whose maximum is 0 is still left out.
            known: only deliveries on channels that the node knows, and strays; None: all.
        """

    async def settle(self, settlements: Sequence[Settlement]) -> frozenset[str]:
        """Write how deliveries ended. A settlement with state ``ready`` ends the lease.

        Returns:
            the ids that were *not* settled: the delivery is final, or was leased again since (its fence is
            newer).
        """

    async def find_next_wake(
        self,
        after: datetime,
        shut: frozenset[str] = frozenset(),
        *,
        lost: bool = True,
        known: Known | None = None,
    ) -> datetime | None:
        """Return the earliest instant at which there may be work, by the caller's clock.

        The instant is the earliest ``wake_at`` of a pending reminder, ``at`` of a digest, or ``next_at`` of a
        ready delivery; for a delivery that is leased beyond ``after``, the end of the lease counts instead.
        The instant may lie in the past. None: nothing is waiting.

        Args:
            shut: channels whose deliveries are ignored.
            lost: whether deliveries whose last lease was lost count.
            known: only what the node knows counts, without strays; None: everything does.
        """


class ActionLedger(MilestoneLookup, Protocol):
    """Records what people do.

    The caller has checked that the person may do it. An action may be recorded twice: the second time changes
    nothing.
    """

    async def act(self, action: Action, owed: Sequence[ScheduledReminder]) -> Record:
        """Record an action, its history entry, and ``owed`` as in :class:`Changes`.

        Returns:
            the record after the action.

        Raises:
            UnknownMilestone: the ledger has no record of the milestone.
            RefusedAction: the milestone's status does not allow the action.
        """

    async def retry(self, delivery: str, now: datetime, by: str) -> Delivery:
        """Make a dead delivery ready again, and count its horizon from ``now``.

        The state remembered for the channel itself is deleted, so a channel that was stopped is tried again.

        Raises:
            UnknownDelivery: the ledger has no such delivery.
            RefusedAction: the delivery is not dead.
        """


class LedgerReader(MilestoneLookup, NodeReader, KeyLookup, Protocol):
    """Reads the ledger for people and for audits. Anybody may call, and nothing is changed.

    Each method sees one consistent state; two calls may see different ones.
    """

    async def read_records(self, *, after: str = "", limit: int | None = None) -> Sequence[Record]:
        """Return the records that are not withdrawn, sorted by id.

        Args:
            after: only records that come after this id. The order is the ledger's own.
            limit: the maximum number of records.
        """

    async def read_upcoming(self, limit: int) -> Sequence[ScheduledReminder]:
        """Return the pending reminders, the earliest ``wake_at`` first."""

    async def find_deliveries(
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
        """Return deliveries with their attempts and members, the newest first.

        Args:
            delivery: only the delivery with this id.
            text: a text that the delivery's id, its channel, its reason, or the id of one of its milestones
                must contain. Case is ignored, at least in ASCII.
            before: the ``bound_at`` and the id of a delivery: only deliveries that come after it in this
                order.
        """

    async def read_activity(self, timeline: str = "") -> Sequence[tuple[Record, datetime]]:
        """Return all records of one timeline or of all timelines, withdrawn ones too, sorted by id.

        Each comes with the time of its last history entry or, if it has none, of its last change.
        """

    async def read_history(
        self, milestone: str = "", limit: int = 100, *, timeline: str = "", kind: str = ""
    ) -> Sequence[HistoryEntry]:
        """Return history entries, the newest first; "" means all milestones, timelines or kinds."""

    async def read_last_moves(self, milestones: Sequence[str]) -> Mapping[str, HistoryEntry]:
        """Return the last entry ``moved`` of each milestone that has one, by full id."""

    async def count_rows(self) -> Mapping[str, int]:
        """Return the number of rows: ``milestones``, ``owed.<state>`` and ``deliveries.<state>``."""

    async def find_waiting(
        self, now: datetime, shut: frozenset[str] = frozenset(), *, known: Known | None = None
    ) -> Waiting:
        """Return what has waited longest. Deliveries of the channels in ``shut`` are ignored.

        Args:
            known: what the node does not know counts as ``strays`` only, unless other nodes know it; None:
                there are no strays.
        """

    async def find_unreadable(self, limit: int) -> Sequence[Unreadable]:
        """Read the next ``limit`` rows of each table, and return the rows that cannot be read.

        Also the rows are returned that any earlier call could not read and still cannot be read, at most
        1,000 in all. Repeated calls go through the whole ledger.
        """

    async def read_size(self) -> int:
        """Return the bytes that the ledger takes on disk; 0 if it takes none."""


class ChangeFeed(Protocol):
    """Shows that another process has written. Anybody may call.

    A change may be missed by :meth:`listen`, or be announced twice. :meth:`read_version` misses none.
    """

    async def read_version(self) -> str:
        """Return a value that changes whenever another process has written. Cheap to call."""

    def listen(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called in the running loop soon after another process has written.

        It is never called by a ledger that cannot announce changes, nor while a connection is broken.
        """


class TimeSource(Protocol):
    """Tells the ledger's own time. Anybody may call."""

    async def read_time(self) -> datetime | None:
        """Return the time by the ledger's own clock; None if the ledger goes by the caller's clock."""


KEPT_REPEATS = 64
"""How many of the old overdue reminders of a window and a receiver the ledger keeps, however old they are."""


class Prunable(Protocol):
    """Deletes what is no longer needed. The leader and ``alertd prune`` call, at the same time if need be."""

    async def prune(self, before: datetime, limit: int) -> Mapping[str, int]:
        """Delete at most ``limit`` milestones with all about them, ``limit`` repeats and ``limit`` notices.

        A milestone is deleted if it is withdrawn, has had no entry since ``before``, and nothing of it is
        waiting or being sent. A notice is deleted if it was settled before ``before``. Reminders of a
        milestone that is not withdrawn are kept, since they prevent a second reminder. Only of the repeats of
        `then_every` that were due before ``before``, which are never scheduled again, those in the middle are
        deleted: of a window and a receiver, the first overdue reminders and the latest stay,
        :data:`KEPT_REPEATS` in all.

        Returns:
            the number of deleted rows: ``milestones``, ``reminders`` and ``deliveries``. Call again until all
            are 0.
        """


class Repairable(Protocol):
    """Repairs what a clock that was ahead has written. The leader calls, by a clock that is not in doubt."""

    async def repair(self, now: datetime, catch_up: timedelta, limit: int) -> Mapping[str, int]:
        """Repair at most ``limit`` reminders and at most ``limit`` deliveries with instants from the future.

        A reminder that was recorded as expired at an instant that is still to come is pending again, unless
        it is older than ``catch_up`` by now. A ready delivery that waits longer than any retry does is due
        now, and a retry horizon that would start in the future starts now.

        Returns:
            the number of changed rows: ``reminders`` and ``deliveries``. Call again until both are 0.
        """


class Closable(Protocol):
    """A connection to the ledger. Who opened it closes it."""

    async def close(self) -> None:
        """Close the connection. Safe to call twice."""


class Ledger(
    PlanningLedger,
    LeadershipLedger,
    NodeRegistry,
    ConfigKeeper,
    ReminderQueue,
    DeliveryQueue,
    ActionLedger,
    LedgerReader,
    ChangeFeed,
    TimeSource,
    Prunable,
    Repairable,
    Closable,
    Protocol,
):
    """The record of what is scheduled and what was done: the sum of all roles.

    Only the composition root takes a whole ledger. Every other class names the roles that it needs.
    """

    async def ensure_shared_secret(self, made: str) -> str:
        """Return the secret that all nodes share: the stored secret, or ``made``, which is stored then."""


MOVES_READ = 50
"""How many moves of a milestone to a receiver planning looks at, the latest ones."""

LEASE_FOR = timedelta(minutes=5)
"""How long a delivery is taken for; longer than any notifier's total deadline."""

KEEP_REPORTS = timedelta(days=30)
"""How long the report of a daemon that is gone is kept: each start of one is a node of its own."""


class LedgerFile(Protocol):
    """The file of an embedded ledger that a daemon has open. Its methods raise nothing but LedgerError."""

    async def find_loss(self) -> FileLoss | None:
        """Return how the file at the ledger's path differs from the open ledger; None: it is the same file.

        Raises:
            LedgerError: the file system does not answer, so nothing is known.
        """

    async def save(self, label: str) -> str:
        """Copy the open ledger to a file beside its path, and return the copy's path once it is on disk.

        A copy with the same label is replaced.
        """

    async def put_back(self, saved: str) -> bool:
        """Move a copy that :meth:`save` made to the ledger's path. The ledger must not be written after that.

        A file at the path that is not this ledger is left alone. Then the copy stays where it is, and the
        result is False.
        """

    async def list_tables(self) -> Sequence[str]:
        """Return the names of the tables that can be checked."""

    async def check(self, table: str) -> str:
        """Check the pages of a table, without making others wait. Returns what is damaged; "": nothing."""

    async def close(self) -> None:
        """End a check that is running."""
