"""What happened, as plain facts in the order in which it happened: what the oracle judges by.

``seq`` orders everything; ``at`` is the true time, ``looked`` the time by the node's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.sim.spec import Files, Rules, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One occurrence owed, as it was last written."""

    key: str
    milestone: str
    receiver: str
    cause: str
    offset: str
    window: str
    moved_from: frozenset[str] = frozenset()
    moved_to: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """From here on the ledger knows a milestone so; ``spec`` None: it is withdrawn."""

    seq: int
    at: datetime
    milestone: str
    spec: Spec | None
    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of an occurrence that was looked at, by which clock."""

    seq: int
    at: datetime
    looked: datetime
    node: str
    key: str
    state: str
    rules: Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Leasing:
    """A delivery was taken; ``now`` and ``until`` are by the ledger's own clock.

    Attributes:
        ahead: it was taken ahead.
    """

    seq: int
    at: datetime
    looked: datetime
    node: str
    life: int
    delivery: str
    fence: int
    now: datetime
    until: datetime
    ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A node that was told to stop has ended.

    Attributes:
        kept: the deliveries that it had leased ahead, had not begun, and did not give back.
    """

    node: str
    at: datetime
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The ledger has recorded that a delivery that was leased ahead is about to be sent."""

    seq: int
    at: datetime
    looked: datetime
    node: str
    life: int
    delivery: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Releasing:
    """A lease was given back."""

    seq: int
    delivery: str
    fence: int


@dataclass(slots=True, kw_only=True)
class Sending:
    """One call of a notifier.

    Attributes:
        leasing: the lease that it was started on.
        beginning: when that lease began, if it was taken ahead; None: it began when it was taken.
        accepted_at: when the receiver had it; None: it never had.
        answer: ``sent``, ``retry``, ``unknown``, ``rejected``, ``raised``; "" when none came: the node
            died, or the send was cut off.
        settled: ``sent``, ``ready``, ``dead`` as committed, ``fenced`` when that was refused; "" when never.
    """

    seq: int
    at: datetime
    looked: datetime
    node: str
    life: int
    channel: str
    delivery: str
    kind: str
    keys: tuple[str, ...]
    leasing: Leasing | None
    beginning: Beginning | None = None
    accepted_at: datetime | None = None
    accepted_seq: int = 0
    answer: str = ""
    answered_at: datetime | None = None
    retry_after_s: float = 0.0
    settled: str = ""
    settled_seq: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """A settlement that the ledger took, or refused.

    Attributes:
        knows: whether the files of the node have the receiver.
    """

    seq: int
    at: datetime
    node: str
    delivery: str
    fence: int
    state: str
    receiver: str
    channel: str
    knows: bool
    accepted: bool
    newest_fence: int


@dataclass(slots=True, kw_only=True)
class Saying:
    """What somebody said of a milestone: committed at ``seq``, and confirmed to them later, or never."""

    seq: int
    at: datetime
    kind: str
    milestone: str
    said_at: datetime
    until: datetime | None
    windows: frozenset[str]
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The state of a row of the ledger changed; ``before`` is "" when it is new."""

    seq: int
    at: datetime
    table: str
    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """No node was up, or nothing worked."""

    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody looked at a node.

    Attributes:
        node: its name.
        is_fed: it had fed its watchdog lately.
        is_frozen: it stood still.
        seems_well: it found nothing wrong with itself at that moment.
        paused: the channels that it has paused.
    """

    at: datetime
    node: str
    up_since: datetime
    is_fed: bool
    is_frozen: bool
    seems_well: bool
    paused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A node has the lead, for the first time under this term or again."""

    seq: int
    node: str
    life: int
    term: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A node wrote what it had found in the files."""

    seq: int
    node: str
    life: int
    milestones: tuple[str, ...]


@dataclass(slots=True)
class Facts:
    """All of it.

    Attributes:
        troubles: when nothing worked: the ledger could not be used, or the node was frozen.
        unusable: when the ledger could not be used.
        unwritable: when the ledger could be read and not written.
        hangs: when the folder of the files did not answer.
        strangers: when the files of no node had the receiver ``LEADS``.
        zone_gaps: which node lacked which zone, from when to when.
        poison: the milestone and the channel whose messages end the process that sends them; None: there is none.
        deafness: when no channel took anything.
        hangings: which channel did not answer, from when to when.
        most: how much there was of something at the most: of tasks, of what the node keeps in memory.
    """

    begins: datetime
    heals: datetime
    ends: datetime
    disk: list[tuple[datetime, Files]] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    adoptions: dict[str, list[Adoption]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    leasings: list[Leasing] = field(default_factory=list)
    beginnings: list[Beginning] = field(default_factory=list)
    releasings: list[Releasing] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    settlings: list[Settling] = field(default_factory=list)
    sayings: dict[str, list[Saying]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    troubles: list[Outage] = field(default_factory=list)
    unusable: list[Outage] = field(default_factory=list)
    unwritable: list[Outage] = field(default_factory=list)
    hangs: list[Outage] = field(default_factory=list)
    strangers: list[Outage] = field(default_factory=list)
    deafness: list[Outage] = field(default_factory=list)
    silences: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    hangings: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    restarts: list[datetime] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    beats: list[tuple[datetime, bool]] = field(default_factory=list)
    grants: list[Granted] = field(default_factory=list)
    reconciled: list[Reconciled] = field(default_factory=list)
    deaths: set[tuple[str, int]] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)
    zone_gaps: list[tuple[str, str, datetime, datetime]] = field(default_factory=list)
    poison: tuple[str, str] | None = None
    most: dict[str, int] = field(default_factory=dict)
    largest_step_s: float = 0.0

    @property
    def begun(self) -> list[tuple[str, datetime]]:
        """The deliveries that a node was about to send, with the times, once for each lease."""
        found = {(one.delivery, one.fence): one.at for one in self.leasings if not one.ahead}
        for beginning in self.beginnings:
            found.setdefault((beginning.delivery, beginning.fence), beginning.at)
        return sorted(((name, at) for (name, _), at in found.items()), key=lambda pair: (pair[1], pair[0]))

    @property
    def receipts(self) -> list[Sending]:
        """The sends that the receivers have, in the order in which they arrived."""
        return sorted((one for one in self.sendings if one.accepted_at), key=lambda one: one.accepted_seq)
