"""The values that the ledger holds: milestones, scheduled reminders, deliveries and their history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.reason import Reason
from alertd.core.routing.digest import DigestIssue


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A window of a milestone at some time. The history and messages about a move are made from such values.

    Attributes:
        window_id: the id of the :class:`alertd.core.deadline.Window`.
        edtf: the deadline in canonical EDTF.
        phrase: the deadline as people read it, such as ``by September 2026``.
        accounts: the short names of the sources that give it, such as ``the minister``.
        source_ids: the ids of these sources in the definition file.
    """

    window_id: str
    edtf: str
    phrase: str
    accounts: tuple[str, ...] = ()
    source_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A milestone in the ledger.

    Attributes:
        milestone: the last valid definition, with relative claims resolved.
        file: the name of the definition file, relative to the configuration folder.
        revision: 1 at first, and raised by one each time that ``values`` changes.
        values: the windows that remind, with the sources of each.
        loaded_at: when alertd first loaded the milestone, an aware UTC instant.
        changed_at: when ``values`` last changed, an aware UTC instant.
        withdrawn: the definition files no longer define the milestone.
        status: the acknowledgement, snooze, completion or cancellation in force.
    """

    milestone: Milestone
    file: str
    revision: int
    values: tuple[Value, ...]
    loaded_at: datetime
    changed_at: datetime
    withdrawn: bool = False
    status: MilestoneStatus = NO_ACTIONS

    @property
    def id(self) -> str:
        return self.milestone.id

    @property
    def window_ids(self) -> tuple[str, ...]:
        return tuple(value.window_id for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A change of a milestone's windows, which a message with the cause ``moved`` reports."""

    before: tuple[Value, ...]
    after: tuple[Value, ...]


class ReminderState(StrEnum):
    """The state of a scheduled reminder.

    A reminder leaves ``PENDING`` once, with an exception: a cancelled reminder becomes pending again if its
    window returns.
    """

    PENDING = "pending"
    BOUND = "bound"
    SUPERSEDED = "superseded"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Why a reminder goes to its receiver.

    alertd determines the grounds when it binds the reminder to a delivery and keeps them, so that the message
    and ``alertd explain`` describe the configuration of that time.

    Attributes:
        route: the path of the route that matched; "" if none did.
        matchers: the matchers on the path to that route, as they are written.
        policy: the name of the policy that asks for the reminder.
    """

    route: str = ""
    matchers: tuple[str, ...] = ()
    policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledReminder:
    """One occurrence that alertd has to send to one receiver, or had to.

    Attributes:
        key: the result of :func:`alertd.core.milestones.occurrence.make_occurrence_key`.
        window_id: the id of its window; "" for the causes ``moved`` and ``done``, which belong to all
            windows.
        at: when the reminder is due, an aware UTC instant.
        wake_at: when alertd decides about it next, an aware UTC instant: ``at``, or later if it is deferred.
        group: the labels that it is grouped by, as pairs.
        move: the change of windows, for the cause ``moved``; None for other causes.
        reason: why it is in this state; None if the state itself is enough.
        told_at: when the receiver accepted the first delivery that carries it, an aware UTC instant.
        grounds: why it goes to its receiver; None until it is bound, and in rows of older versions.
    """

    key: str
    milestone: str
    receiver: str
    cause: Cause
    offset: str
    window_id: str
    at: datetime
    wake_at: datetime
    group: tuple[tuple[str, str], ...] = ()
    state: ReminderState = ReminderState.PENDING
    move: Move | None = None
    reason: Reason | None = None
    told_at: datetime | None = None
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadHour:
    """The deliveries of a channel that died in one hour.

    Attributes:
        begins: when the hour begins, an aware UTC instant.
    """

    channel: str
    begins: datetime

    @classmethod
    def find(cls, channel: str, at: datetime) -> DeadHour:
        """Find the hour to which an instant belongs."""
        return cls(channel=channel, begins=at.replace(minute=0, second=0, microsecond=0))

    @property
    def ends(self) -> datetime:
        """When the hour ends, exclusive."""
        return self.begins + timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message from alertd to its operator about alertd itself, such as a file that it cannot read.

    Attributes:
        slot: the identity of the notice: two notices with the same slot get the same delivery id, so alertd
            sends only the first.
        counts: the dead deliveries that the notice counts when it is sent; None for other notices.
    """

    slot: str
    headline: str
    lines: tuple[str, ...] = ()
    counts: DeadHour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a node's configuration knows. The node leaves other work alone, since another node may know it.

    Attributes:
        channels: the channels; None for all channels of the receivers.
        digests: the keys of the digests; None for all digests.
        elsewhere: receivers that other live nodes know.
        strays_before: work that is due since this instant and that no live node knows is a stray, and the
            node takes it; None: no work is a stray yet.
    """

    receivers: frozenset[str]
    channels: frozenset[str] | None = None
    digests: frozenset[str] | None = None
    elsewhere: frozenset[str] = frozenset()
    strays_before: datetime | None = None

    def has_channel(self, receiver: str, channel: str) -> bool:
        """Tell whether the node can send on a channel."""
        return receiver in self.receivers if self.channels is None else channel in self.channels

    def is_stray(self, receiver: str, since: datetime) -> bool:
        """Tell whether work of an unknown receiver or channel, due at ``since``, is a stray."""
        return (
            self.strays_before is not None and since <= self.strays_before and receiver not in self.elsewhere
        )


CHANNEL = ""
"""The key, in place of a milestone's id, of the notifier state that belongs to the channel as a whole."""


class DeliveryState(StrEnum):
    """The state of a delivery. It leaves ``READY`` once, but a person may have a dead delivery sent again."""

    READY = "ready"
    SENT = "sent"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one notifier of one receiver.

    Attributes:
        id: ``msg_`` and a fingerprint of its members' keys and its channel, so that it is the same over
            retries, restarts and nodes. It contains no dot and no text that a user wrote.
        notifier: the name of the notifier within its receiver.
        members: the keys of the reminders that it carries, recorded before the first attempt.
        bound_at: when the ledger recorded the delivery, an aware UTC instant.
        next_at: the instant from which it may be sent, or sent again.
        attempts: the number of attempts, those whose lease was lost included.
        lost_leases: how many leases in a row have ended without a settlement, most likely because the process
            ended during the attempt.
        notice: the notice that it carries; None for reminders and digests.
        fallback_for: the channel that alertd could not reach and that this delivery replaces, or the receiver
            that no node knows; "" for none.
        settled_at: when its final state was recorded, an aware UTC instant; None before that.
        edition: the digest issue that it carries; None if it is no digest.
        tried_from: where the retry horizon starts: later than ``bound_at`` by the time in which no daemon
            could try. None: at ``bound_at``.
    """

    id: str
    receiver: str
    notifier: str
    members: tuple[str, ...]
    bound_at: datetime
    next_at: datetime
    state: DeliveryState = DeliveryState.READY
    attempts: int = 0
    reason: Reason | None = None
    notice: Notice | None = None
    fallback_for: str = ""
    settled_at: datetime | None = None
    edition: DigestIssue | None = None
    tried_from: datetime | None = None
    lost_leases: int = 0

    @property
    def channel(self) -> str:
        """``receiver/notifier``."""
        return f"{self.receiver}/{self.notifier}"

    @property
    def horizon_start(self) -> datetime:
        """The instant from which ``retry_for`` counts."""
        return self.tried_from or self.bound_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to send a delivery. ``outcome`` is ``sent``, ``retry``, ``unknown`` or ``rejected``."""

    delivery: str
    number: int
    at: datetime
    took_ms: int
    outcome: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A delivery that a node has leased, with everything that composing its message needs.

    Attributes:
        owner: the node that holds the lease.
        fence: the fencing token, which grows with each lease. The ledger refuses to settle with an older one.
        until: when the lease ends, an aware UTC instant.
        owed: the members, in the order in which they were bound.
        records: the records of the members' milestones and of those that the digest shows, by full id.
        overtaken: the keys of the members that a later member of the same milestone and receiver replaces: a
            bound reminder replaces earlier reminders, and a bound move replaces earlier moves.
        prior: the state that this notifier returned last, by the milestone's full id; the state of the
            channel as a whole is under :data:`CHANNEL`.
        upcoming: by full id, the first pending reminder of each milestone for this receiver that is due after
            the instant of the lease. A milestone without such a reminder has no entry.
        owed_elsewhere: by the key of a member, the other receivers to which the same occurrence is owed. Only
            leases on channels that the node does not know have them.
        counted: how many deliveries the notice counts; 0 for other deliveries.
    """

    delivery: Delivery
    owner: str
    fence: int
    until: datetime
    owed: tuple[ScheduledReminder, ...] = ()
    records: Mapping[str, Record] = field(default_factory=dict)
    overtaken: frozenset[str] = frozenset()
    prior: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    upcoming: Mapping[str, ScheduledReminder] = field(default_factory=dict)
    owed_elsewhere: Mapping[str, frozenset[str]] = field(default_factory=dict)
    counted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """An entry in a milestone's history: a first load, a move, a person's action or a withdrawal.

    Attributes:
        kind: ``loaded``, ``moved``, ``withdrawn``, ``returned`` or the name of an action.
        by: the person who acted; "" for alertd itself.
        facts: further details, as plain text by name.
    """

    milestone: str
    at: datetime
    kind: str
    by: str = ""
    why: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
