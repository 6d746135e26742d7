"""Sample deadlines, one for each cause. ``compose`` words them, so samples always equal real messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline import parse_deadline
from alertd.core.ledger.records import Move, Record, ScheduledReminder
from alertd.core.message.claims import list_values
from alertd.core.milestones.milestone import Claim, Milestone, Rank, Source
from alertd.core.milestones.occurrence import Cause, fingerprint
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.planning.plan import find_match, make_grounds
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
RECEIVER = "desk"
ROUTE = Route(
    receiver=RECEIVER,
    path="route",
    routes=(
        Route(
            matchers=(parse_matcher('country="iraq"'), parse_matcher('cause=~"overdue|moved"')),
            path="route.routes[0]",
        ),
    ),
)

MINISTER = Source(
    id="al-abassi",
    who="Sabit al-Abassi, Iraqi Minister of Defence",
    publisher="Al-Hadath",
    published="2024-09-08",
)
REUTERS = Source(
    id="reuters",
    who="sources familiar with the negotiations",
    short="Reuters",
    publisher="Reuters",
    published="2024-09-06",
    url="https://news.example/2024/09/06/iraq-coalition-withdrawal",
)
VENDOR = Source(
    id="vendor",
    who="Debian security team",
    short="Debian",
    publisher="debian.org",
    published="2023-06-10",
    url="https://wiki.debian.org/LTS",
)
LEASE = Source(id="lease", who="the lease, paragraph 9", publisher="contract", published="2021-02-15")
AUDITORS = Source(id="auditors", who="the auditors", publisher="letter", published="2026-03-02")

_PHASE_2 = Milestone(
    id="iraq-coalition-withdrawal/phase-2",
    timeline="iraq-coalition-withdrawal",
    timeline_title="Withdrawal of the US-led coalition from Iraq",
    title="Forces stationed in the Kurdish autonomous region leave",
    zone=ZoneInfo("Asia/Baghdad"),
    policy=Policy(),
    labels={"topic": "withdrawal", "country": "iraq", "phase": "2"},
    tentative=True,
    claims=(
        Claim(
            deadline=parse_deadline("2026-09"),
            sources=(MINISTER,),
            note="no agreement was signed when he said so",
        ),
        Claim(deadline=parse_deadline("2026"), sources=(REUTERS,)),
        Claim(
            deadline=parse_deadline("2027-09~"),
            sources=(MINISTER,),
            rank=Rank.DEPRECATED,
            note="Austin's proposal of a third year, refused",
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The milestones and reminders of a sample message."""

    records: Mapping[str, Record]
    owed: tuple[ScheduledReminder, ...]
    upcoming: Mapping[str, ScheduledReminder]

    def __add__(self, other: Scene) -> Scene:
        return Scene(
            records={**self.records, **other.records},
            owed=self.owed + other.owed,
            upcoming={**self.upcoming, **other.upcoming},
        )


def contested() -> Scene:
    """A contested milestone: by one source a month has passed, by another it has not.

    The reminder is late.
    """
    owed = _owed(_PHASE_2, Cause.OVERDUE, "+28d", at=datetime(2026, 10, 28, 6, tzinfo=UTC))
    following = _owed(_PHASE_2, Cause.APPROACHING, "-30d", value=1, at=datetime(2026, 12, 1, 6, tzinfo=UTC))
    return _scene(_record(_PHASE_2, revision=2), owed, following)


def approaching() -> Scene:
    """The simple case: one source, one date, some days ahead."""
    milestone = Milestone(
        id="servers/bookworm-upgrade",
        timeline="servers",
        timeline_title="Servers that must be upgraded",
        title="Last host leaves Debian 11",
        zone=ZoneInfo("Europe/Berlin"),
        policy=Policy(),
        labels={"team": "platform"},
        description="After that day bullseye gets no security updates. The list of hosts is in the runbook.",
        url="https://wiki.example/runbooks/bullseye",
        claims=(Claim(deadline=parse_deadline("2026-12-01"), sources=(VENDOR,)),),
    )
    following = _owed(milestone, Cause.APPROACHING, "-1d", at=datetime(2026, 11, 30, 8, tzinfo=UTC))
    return _scene(_record(milestone), _owed(milestone, Cause.APPROACHING, "-7d", at=NOW), following)


def moved(milestone: str = "phase-2", title: str = _PHASE_2.title) -> Scene:
    """A date that moved, with both dates, the distance and the source."""
    after = replace(_PHASE_2, id=f"{_PHASE_2.timeline}/{milestone}", title=title, claims=_PHASE_2.claims[1:])
    move = Move(before=list_values(replace(after, claims=_PHASE_2.claims[:1])), after=list_values(after))
    owed = replace(_owed(after, Cause.MOVED, "moved", at=NOW), window_id="", move=move)
    following = _owed(after, Cause.APPROACHING, "-30d", at=datetime(2026, 12, 1, 6, tzinfo=UTC))
    return _scene(_record(after, revision=3), owed, following)


def opens() -> Scene:
    """A window that has begun. Its date was computed from another milestone's date."""
    milestone = Milestone(
        id="audit/report",
        timeline="audit",
        timeline_title="Yearly audit",
        title="Auditors hand in their report",
        zone=ZoneInfo("UTC"),
        policy=Policy(),
        claims=(
            Claim(deadline=parse_deadline("2026-11"), sources=(AUDITORS,), derived="60d after audit/start"),
        ),
    )
    following = _owed(milestone, Cause.APPROACHING, "-1d", at=datetime(2026, 11, 29, 9, tzinfo=UTC))
    return _scene(_record(milestone), _owed(milestone, Cause.OPENS, "opens", at=NOW), following)


def due() -> Scene:
    """The last day of a deadline."""
    milestone = Milestone(
        id="contracts/office-notice",
        timeline="contracts",
        timeline_title="Contracts that renew by themselves",
        title="Notice for the office in Istanbul reaches the landlord",
        zone=ZoneInfo("Europe/Istanbul"),
        policy=Policy(),
        labels={"team": "facilities"},
        claims=(Claim(deadline=parse_deadline("2026-11-24"), sources=(LEASE,)),),
    )
    following = _owed(milestone, Cause.OVERDUE, "+1d", at=datetime(2026, 11, 25, 6, tzinfo=UTC))
    return _scene(_record(milestone), _owed(milestone, Cause.DUE, "0d", at=NOW), following)


def owned() -> Scene:
    """The same milestone with an owner."""
    (record,) = due().records.values()
    milestone = replace(
        record.milestone,
        owner="Ayşe Demir, facilities",
        description="The lease renews for five years unless the notice arrives in time.",
        url="https://wiki.example/office-istanbul",
    )
    return _scene(replace(record, milestone=milestone), _owed(milestone, Cause.DUE, "0d", at=NOW))


def done() -> Scene:
    """A milestone that is done, in a message to a fallback receiver."""
    milestone = replace(
        _PHASE_2,
        id="iraq-coalition-withdrawal/phase-1",
        title="Forces leave Baghdad and the areas under the central government",
        tentative=False,
        labels={"topic": "withdrawal", "phase": "1"},
        claims=(Claim(deadline=parse_deadline("2025-09"), sources=(MINISTER, REUTERS)),),
    )
    status = MilestoneStatus(
        done_on=date(2025, 9, 18), done_by="m.haddad", evidence="https://gov.example/statements/1187"
    )
    owed = replace(_owed(milestone, Cause.DONE, "done", at=NOW), window_id="")
    return _scene(_record(milestone, status=status), owed)


def acknowledged() -> Scene:
    """A milestone that somebody has acknowledged, for a receiver that shows milestones' states."""
    scene = contested()
    (record,) = scene.records.values()
    status = MilestoneStatus(
        ack_until=datetime(2026, 12, 8, 6, tzinfo=UTC),
        ack_windows=record.window_ids,
        ack_by="m.haddad",
        ack_why="the ministry is asked",
    )
    return _change(record, Cause.ACKNOWLEDGED, status)


def cancelled() -> Scene:
    """A milestone that was cancelled, for a receiver that shows milestones' states."""
    (record,) = due().records.values()
    status = MilestoneStatus(cancelled=True, cancelled_by="m.haddad", cancelled_why="the office stays.")
    return _change(record, Cause.CANCELLED, status)


def _change(record: Record, cause: Cause, status: MilestoneStatus) -> Scene:
    owed = replace(_owed(record.milestone, cause, cause.value, at=NOW), window_id="")
    return _scene(replace(record, status=status), owed)


def _record(milestone: Milestone, revision: int = 1, status: MilestoneStatus = NO_ACTIONS) -> Record:
    loaded = NOW - timedelta(days=100)
    return Record(
        milestone=milestone,
        file="milestones/sample.yaml",
        revision=revision,
        values=list_values(milestone),
        loaded_at=loaded,
        changed_at=loaded,
        status=status,
    )


def _owed(
    milestone: Milestone, cause: Cause, offset: str, *, at: datetime, value: int = 0
) -> ScheduledReminder:
    return ScheduledReminder(
        key=fingerprint("sample", milestone.id, cause.value, offset),
        milestone=milestone.id,
        receiver=RECEIVER,
        cause=cause,
        offset=offset,
        window_id=list_values(milestone)[value].window_id,
        at=at,
        wake_at=at,
    )


def _scene(record: Record, owed: ScheduledReminder, following: ScheduledReminder | None = None) -> Scene:
    return Scene(
        records={record.id: record},
        owed=(replace(owed, grounds=make_grounds(find_match(ROUTE, owed, record), record.milestone)),),
        upcoming={record.id: following} if following else {},
    )
