"""What the ledger holds, as values: milestones as they stand, occurrences owed, deliveries made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import NOTHING_SAID, MilestoneStatus
from alertd.core.reason import Reason
from alertd.core.routing.digest import DigestIssue


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One claim as it stood at some time; what the history keeps, and what a move is told from.

    Attributes:
        window_id: as in :class:`alertd.core.deadline.Window`.
        edtf: the deadline as canonical EDTF.
        phrase: the deadline as people read it, such as ``by September 2026``.
        accounts: in whose words it was given, such as ``the minister``.
        source_ids: the same as ids of the definition file.
    """

    window_id: str
    edtf: str
    phrase: str
    accounts: tuple[str, ...] = ()
    source_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One milestone as the ledger knows it.

    Attributes:
        milestone: the last good definition, relative claims resolved.
        file: the definition file's name relative to the configuration folder.
        revision: raised by one each time that ``values`` changes; the first is 1.
        values: the windows that remind, with who states them.
        loaded_at: when it was first loaded.
        withdrawn: its definition is gone from the files.
        standing: what people have said of it.
    """

    milestone: Milestone
    file: str
    revision: int
    values: tuple[Value, ...]
    loaded_at: datetime
    changed_at: datetime
    withdrawn: bool = False
    status: MilestoneStatus = NOTHING_SAID

    @property
    def id(self) -> str:
        return self.milestone.id

    @property
    def window_ids(self) -> tuple[str, ...]:
        return tuple(value.window_id for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """How the windows of a milestone changed: what a moved message tells."""

    before: tuple[Value, ...]
    after: tuple[Value, ...]


class ReminderState(StrEnum):
    """Forward only, but for cancelled, which goes back to pending when the date comes back."""

    PENDING = "pending"
    BOUND = "bound"
    SUPERSEDED = "superseded"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """Why an occurrence goes to its receiver: found when it is bound, so that a message tells what held then.

    Attributes:
        route: the path of the route that took it; "" when no route did.
        matchers: those on the way to the route, as they are written.
        policy: the name of the policy that asks for it.
    """

    route: str = ""
    matchers: tuple[str, ...] = ()
    policy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledReminder:
    """One occurrence that one receiver is owed.

    Attributes:
        key: :func:`alertd.core.milestones.occurrence.occurrence_key`.
        at: when it is due, an aware UTC instant.
        wake_at: when to look at it: ``at``, or later while it is deferred.
        group: the labels that it is grouped by, as pairs.
        window_id: the window it belongs to; ``""`` for moved and done, which belong to all.
        move: what moved, for the cause ``moved``.
        reason: why it is in this state, when there is more to say than the state itself.
        told_at: when the first delivery that carries it was accepted.
        grounds: why it goes to its receiver; None until it is bound, and in old rows that did not keep it.
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
class Notice:
    """Something that alertd tells its operator about itself, such as a file it cannot read.

    Attributes:
        slot: what makes it the same notice when it comes up again; the id is made of it.
    """

    slot: str
    headline: str
    lines: tuple[str, ...] = ()


CHANNEL = ""
"""Among what is remembered by milestone: what holds for the channel itself."""


class DeliveryState(StrEnum):
    """Forward only, but that a person may send a dead one again."""

    READY = "ready"
    SENT = "sent"
    DEAD = "dead"
    SUPERSEDED = "superseded"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What goes to one notifier of one receiver in one message.

    Attributes:
        id: ``msg_`` and the digest of its members' keys and its channel: the same over retries,
            restarts and nodes. It holds no dot and nothing that a user wrote.
        notifier: the notifier's name within its receiver.
        members: keys of the occurrences it carries, written down before the first attempt.
        bound_at: when it was written down; the retry horizon counts from here.
        next_at: when it may be sent, or sent again.
        attempts: how many were settled.
        fallback_for: the receiver that could not be reached, when this one stands in for it.
        edition: what it shows beside its members when it is a digest.
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

    @property
    def channel(self) -> str:
        """``receiver/notifier``."""
        return f"{self.receiver}/{self.notifier}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try. ``outcome`` is ``sent``, ``retry``, ``unknown`` or ``rejected``."""

    delivery: str
    number: int
    at: datetime
    took_ms: int
    outcome: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A delivery taken for a while, with all that is needed to compose it.

    Attributes:
        fence: raised at each lease; a settlement with an older one is refused.
        owed: the members, in the order in which they were bound.
        records: the members' milestones, and those that its edition shows, by full id.
        overtaken: keys of those members that a later one of the same milestone and receiver has
            overtaken: a bound reminder overtakes earlier reminders, a bound move earlier moves.
        prior: what this notifier returned for a milestone last, by full id, and under :data:`CHANNEL` what
            holds for the channel itself.
        upcoming: the first reminder of each record's milestone and its receiver that is pending and due
            later than the instant of the lease, by full id; none for a milestone without one.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Something that happened to a milestone and is kept: a value, a move, an action, a withdrawal.

    Attributes:
        kind: ``loaded``, ``moved``, ``withdrawn``, ``returned`` or the name of an action.
        facts: what else there is to say, as plain text by name.
    """

    milestone: str
    at: datetime
    kind: str
    by: str = ""
    why: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
