"""What the files say, in the simulator's own words: plain values that the oracle reasons about.

``files.py`` turns them into what the product reads. Nothing here imports the product.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, timedelta

DESK, LEADS, OPS, SPARE = "desk", "leads", "ops", "spare"

CHANNELS: dict[str, tuple[str, ...]] = {
    DESK: ("desk/hook", "desk/mail"),
    LEADS: ("leads/hook",),
    OPS: ("ops/hook",),
    SPARE: ("spare/hook",),
}
"""Who is told, and by which channels."""

RATED = "desk/mail"
CATCH_UP_DAYS = 35
DAMPING_S = 3600.0
RETRY_FOR_S = 72 * 3600.0
LEASE_S = 300.0


@dataclass(frozen=True, slots=True)
class Ladder:
    """A policy: days before, the day itself, days after, and how often from then on."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    on_day: bool = True
    opens: bool = True
    nag: int = 0


FOLLOWS = "It follows"


def days_of(deadline: str) -> tuple[date, date]:
    """The first and the last day of ``2026-03-14``, ``2026-03`` or ``2026-03-06/2026-04-05``."""
    if "/" in deadline:
        first, _, last = deadline.partition("/")
        return date.fromisoformat(first), date.fromisoformat(last)
    if len(deadline) == 10:
        day = date.fromisoformat(deadline)
        return day, day
    year, month = int(deadline[:4]), int(deadline[5:7])
    return date(year, month, 1), date(year, month, monthrange(year, month)[1])


LADDERS: dict[str, Ladder] = {
    "default": Ladder(before=(30, 7, 1), after=(1, 7)),
    "nagging": Ladder(before=(7,), after=(1,), nag=14, opens=False),
    "short": Ladder(before=(14, 3), after=(2,)),
    "daily": Ladder(before=(7, 1), after=(1,), nag=1),
}


@dataclass(frozen=True, slots=True)
class Spec:
    """One milestone.

    Attributes:
        deadlines: ``2026-03-14`` or ``2026-03``; two of them are contested.
        shift_min: by how many minutes the zone database is another one than today's.
    """

    id: str
    deadlines: tuple[str, ...]
    zone: str = "Asia/Baghdad"
    shift_min: int = 0
    title: str = "It comes about"
    ladder: str = "default"

    @property
    def timeline(self) -> str:
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Follower:
    """A milestone whose deadline counts from another one, or from the date on which that was done.

    Attributes:
        base: the full id of the other.
    """

    id: str
    base: str
    days: int
    zone: str = "Europe/Berlin"
    ladder: str = "nagging"

    def resolve(self, base: Spec | None, done_on: date | None) -> Spec:
        """Count the deadlines from those of the base, or from its done date."""
        spans = [days_of(one) for one in base.deadlines] if base else []
        spans = [(done_on, done_on)] if done_on else spans
        by = timedelta(days=self.days)
        moved = [(first + by, last + by) for first, last in spans]
        texts = [str(first) if first == last else f"{first}/{last}" for first, last in moved]
        return Spec(id=self.id, deadlines=tuple(texts), zone=self.zone, title=FOLLOWS, ladder=self.ladder)


@dataclass(frozen=True, slots=True)
class Rules:
    """The part of ``alertd.yaml`` that differs.

    Attributes:
        leads: whether they hear of what is overdue and what moves.
        knows_leads: whether they are a receiver at all.
        rate: how fast ``RATED`` may be sent to.
        heartbeat: whether a dead man's switch is told of each audit.
        each_alone: whether each milestone has a message of its own.
        edition: a part of the configuration that all is planned by and that changes no plan.
    """

    leads: bool = True
    knows_leads: bool = True
    mute_weekends: bool = False
    rate: str = ""
    heartbeat: bool = False
    each_alone: bool = False
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Files:
    """The folder at one moment.

    Attributes:
        followers: the timeline ``c``, whose deadlines count from others.
        broken: timelines whose file cannot be read.
        config_broken: ``alertd.yaml`` itself cannot be read.
    """

    specs: tuple[Spec, ...]
    followers: tuple[Follower, ...] = ()
    rules: Rules = Rules()
    broken: frozenset[str] = frozenset()
    config_broken: bool = False

    def of(self, name: str) -> Spec | None:
        return next((one for one in self.specs if one.id == name), None)

    def follower(self, name: str) -> Follower | None:
        return next((one for one in self.followers if one.id == name), None)

    @property
    def as_before_leads(self) -> Files:
        """The same as it was before there was the receiver ``LEADS``: what a node has that is deployed last."""
        return replace(self, rules=replace(self.rules, leads=False, knows_leads=False))

    def without_zone(self, zone: str) -> Files:
        """The same as a machine reads it that lacks a zone: it can't read the files of what is in that zone."""
        unreadable = {spec.timeline for spec in self.specs if spec.zone == zone}
        return replace(self, broken=self.broken | unreadable)

    def with_spec(self, spec: Spec) -> Files:
        """The same with one milestone put in or put in place of what was there."""
        others = [one for one in self.specs if one.id != spec.id]
        return replace(self, specs=tuple(sorted([*others, spec], key=lambda one: one.id)))

    def without(self, name: str) -> Files:
        return replace(self, specs=tuple(one for one in self.specs if one.id != name))
