"""Builders of the values that the tests of the core are about: short to call, every default visible here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline import Reading, Window, compute_window, parse_deadline
from alertd.core.ledger.records import Delivery, Lease, Move, Record, ReminderState, ScheduledReminder
from alertd.core.message.claims import list_values
from alertd.core.milestones.milestone import (
    Claim,
    Milestone,
    Rank,
    RelativeClaim,
    Source,
    list_operative_windows,
)
from alertd.core.milestones.occurrence import Cause, list_occurrences, make_occurrence_key
from alertd.core.milestones.policy import Contested, Policy, Roll, WorkCalendar
from alertd.core.milestones.recurrence import parse_recurrence
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.planning.decide import NEWS
from alertd.core.planning.plan import find_match, make_grounds
from alertd.core.reason import Reason
from alertd.core.routing.route import Route, make_group_key, match_routes
from alertd.core.time.duration import Duration, parse_duration
from alertd.core.time.instant import to_instant

BAGHDAD = ZoneInfo("Asia/Baghdad")
NEW_YORK = ZoneInfo("America/New_York")
EVER = datetime(1900, 1, 1, tzinfo=UTC)
NEVER = datetime(2199, 1, 1, tzinfo=UTC)
CATCH_UP = timedelta(days=35)

MINISTER = Source(
    id="al-abassi",
    who="Sabit al-Abassi, Iraqi Minister of Defence",
    short="the minister",
    publisher="Al-Hadath",
    published="2024-09-08",
)
REUTERS = Source(
    id="reuters",
    who="several people close to the negotiations",
    short="Reuters",
    publisher="Reuters",
    published="2024-09-06",
)
PENTAGON = Source(
    id="pentagon", who="Lloyd Austin, US Secretary of Defense", publisher="Pentagon", published="2024-08"
)


def utc(text: str) -> datetime:
    """``2026-09-30T21:00`` as a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at(wall: str, zone: ZoneInfo = BAGHDAD) -> datetime:
    """The UTC instant of a local wall time."""
    return to_instant(datetime.fromisoformat(wall), zone)


def durations(*texts: str) -> tuple[Duration, ...]:
    return tuple(parse_duration(text) for text in texts)


def policy(
    *,
    before: Sequence[str] = ("90d", "30d", "7d", "1d"),
    after: Sequence[str] = ("1d", "7d", "14d", "28d"),
    on_day: bool = True,
    opens: bool = True,
    then_every: str = "",
    clock: str = "09:00",
    contested: Contested = Contested.EACH,
    roll: Roll = Roll.NONE,
    calendar: WorkCalendar | None = None,
) -> Policy:
    return Policy(
        before=durations(*before),
        after=durations(*after),
        on_day=on_day,
        opens=opens,
        then_every=parse_duration(then_every) if then_every else None,
        at=time.fromisoformat(clock),
        contested=contested,
        roll=roll,
        calendar=calendar or WorkCalendar(name="weekend"),
    )


SILENT = policy(before=(), after=(), on_day=False, opens=False)
"""No reminder at all; the start for a policy of one kind: ``replace(SILENT, on_day=True)``."""


def claim(
    edtf: str,
    *sources: Source,
    rank: Rank = Rank.NORMAL,
    reading: Reading = Reading.END,
    note: str = "",
    derived: str = "",
) -> Claim:
    return Claim(
        deadline=parse_deadline(edtf), sources=sources, rank=rank, reading=reading, note=note, derived=derived
    )


def relative(base: str, by: str, *sources: Source) -> RelativeClaim:
    return RelativeClaim(base=base, by=parse_duration(by), sources=sources)


def milestone(
    *claims: Claim | str,
    id: str = "iraq/phase-2",  # noqa: A002
    title: str = "Forces stationed in the Kurdish autonomous region leave",
    zone: ZoneInfo = BAGHDAD,
    with_policy: Policy | None = None,
    counted: Sequence[RelativeClaim] = (),
    repeat: str = "",
    labels: Mapping[str, str] | None = None,
    tentative: bool = False,
    description: str = "",
) -> Milestone:
    """A milestone; a claim may be given as its EDTF text, without a source."""
    made = tuple(claim(one) if isinstance(one, str) else one for one in claims)
    return Milestone(
        id=id,
        timeline=id.partition("/")[0],
        timeline_title="Withdrawal of the US-led coalition from Iraq",
        title=title,
        zone=zone,
        policy=with_policy or policy(),
        claims=made,
        relative=tuple(counted),
        repeat=parse_recurrence(repeat, made[0].deadline) if repeat else None,
        labels=labels or {"country": "iraq"},
        tentative=tentative,
        description=description,
    )


def contested(**changes: object) -> Milestone:
    """Phase 2 as shipped: September 2026 by the minister, the end of 2026 by Reuters."""
    made = milestone(claim("2026-09", MINISTER), claim("2026", REUTERS))
    return replace(made, **changes)  # type: ignore[arg-type]


def window(edtf: str, zone: ZoneInfo = BAGHDAD, reading: Reading = Reading.END) -> Window:
    return compute_window(parse_deadline(edtf), zone, reading)


def due_at(made: Milestone, offset: str, of: str = "") -> datetime:
    """When the reminder of one offset is due; ``of`` names the window when there are several."""
    (found,) = (
        one.at
        for one in list_occurrences(made, EVER, NEVER)
        if one.offset == offset and of in ("", one.stated.claims[0].deadline.edtf)
    )
    return found


def offsets(made: Milestone, since: datetime = EVER, until: datetime = NEVER) -> list[tuple[str, str]]:
    """Offset and local time of each reminder, in order."""
    return [
        (one.offset, one.at.astimezone(made.zone).strftime("%Y-%m-%d %H:%M"))
        for one in list_occurrences(made, since, until)
    ]


ROOT = Route(path="route", receiver="desk", group_by=("timeline",))


def record(
    made: Milestone, status: MilestoneStatus = NO_ACTIONS, *, revision: int = 1, withdrawn: bool = False
) -> Record:
    return Record(
        milestone=made,
        file="milestones/iraq.yaml",
        revision=revision,
        values=list_values(made),
        loaded_at=utc("2024-09-08T12:00"),
        changed_at=utc("2024-09-08T12:00"),
        withdrawn=withdrawn,
        status=status,
    )


_CAUSES = {"0d": Cause.DUE, **{cause.value: cause for cause in (Cause.OPENS, *NEWS)}}


def owed(
    made: Milestone,
    offset: str,
    due: datetime | None = None,
    *,
    of: str = "",
    receiver: str = "desk",
    reason: Reason | None = None,
    wake_at: datetime | None = None,
    move: Move | None = None,
    state: ReminderState = ReminderState.PENDING,
) -> ScheduledReminder:
    """One owed occurrence, with the key that the plan gives it.

    Args:
        due: when; by default when the policy has it.
        of: the EDTF text of the window, when there are several.
    """
    cause = _CAUSES.get(offset) or (Cause.APPROACHING if offset[0] == "-" else Cause.OVERDUE)
    window_id = ""
    if cause not in NEWS:
        (window_id,) = (
            one.window.id
            for one in list_operative_windows(made)
            if not of or of == one.claims[0].deadline.edtf
        )
    instant = due if due is not None else due_at(made, offset, of)
    labels = {"timeline": made.timeline}
    (match,) = match_routes(ROOT, labels)
    return ScheduledReminder(
        key=make_occurrence_key(made.id, window_id, offset, receiver),
        milestone=made.id,
        receiver=receiver,
        cause=cause,
        offset=offset,
        window_id=window_id,
        at=instant,
        wake_at=wake_at or instant,
        group=make_group_key(match, labels),
        state=state,
        move=move,
        reason=reason,
    )


def move(before: Milestone, after: Milestone) -> Move:
    return Move(before=list_values(before), after=list_values(after))


def bound(
    members: Sequence[ScheduledReminder], records: Sequence[Record], route: Route = ROOT
) -> list[ScheduledReminder]:
    """The members with what is kept when they are bound: why they go where they go."""
    by_id = {one.id: one for one in records}
    return [
        replace(
            one,
            grounds=make_grounds(
                find_match(route, one, by_id[one.milestone]), by_id[one.milestone].milestone
            ),
        )
        for one in members
    ]


def lease(
    members: Sequence[ScheduledReminder],
    records: Sequence[Record],
    *,
    delivery: Delivery | None = None,
    overtaken: frozenset[str] = frozenset(),
    now: datetime | None = None,
) -> Lease:
    instant = now or utc("2026-11-24T06:00")
    made = delivery or Delivery(
        id="msg_0000000000000000000000",
        receiver="desk",
        notifier="console",
        members=tuple(one.key for one in members),
        bound_at=instant,
        next_at=instant,
    )
    return Lease(
        delivery=made,
        owner="test",
        fence=1,
        until=instant + timedelta(minutes=5),
        owed=tuple(members),
        records={one.id: one for one in records},
        overtaken=overtaken,
    )


def done_on(day: str, by: str = "Amal Hassan", evidence: str = "") -> MilestoneStatus:
    return MilestoneStatus(done_on=date.fromisoformat(day), done_by=by, evidence=evidence)
