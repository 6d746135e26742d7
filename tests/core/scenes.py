"""The messages that the golden files show: each cause, and each thing that can be said beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from alertd.core.config import list_milestones
from alertd.core.deadline import Reading
from alertd.core.ledger.records import Delivery, Notice, Record, ScheduledReminder
from alertd.core.message.compose import ItemContext, compose
from alertd.core.message.compose import make_test_message as compose_test
from alertd.core.message.message import Message
from alertd.core.milestones.milestone import Milestone, Rank
from alertd.core.milestones.policy import Contested
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.planning.decide import NEWS
from alertd.core.planning.relative import resolve
from alertd.core.reason import MuteInterval, Reason, SnoozedBy
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route
from alertd.definitions.load import load
from tests.core.builders import (
    MINISTER,
    PENTAGON,
    REUTERS,
    ROOT,
    bound,
    claim,
    contested,
    done_on,
    due_at,
    lease,
    milestone,
    move,
    owed,
    policy,
    record,
    relative,
    utc,
)

ONE = milestone(claim("2025-09", MINISTER), id="iraq/phase-1", title="Coalition forces leave Baghdad")
TWO = contested()
NOVEMBER = utc("2026-11-24T06:00")


class NoOptions(BaseModel):
    """Of a notifier that is not looked at here."""


def message(
    members: Sequence[ScheduledReminder],
    records: Sequence[Record],
    now: datetime,
    upcoming: Sequence[ScheduledReminder] = (),
) -> Message:
    members = bound(members, records)
    made = lease(members, records, now=now)
    around = ItemContext(route=ROOT, upcoming={one.milestone: one for one in upcoming})
    return compose(made, members, now, around)


def one(
    made: Milestone,
    offset: str,
    *,
    of: str = "",
    now: datetime | None = None,
    following: str = "",
    following_of: str = "",
    status: MilestoneStatus = NO_ACTIONS,
    reason: Reason | None = None,
    due: datetime | None = None,
) -> Message:
    """The message of a single reminder, by default at the instant at which it is due."""
    instant = due or (now if offset in NEWS else due_at(made, offset, of))
    member = owed(made, offset, instant, of=of, reason=reason)
    coming = [owed(made, following, of=following_of)] if following else []
    return message([member], [record(made, status)], now or member.at, coming)


def moved(before: Milestone, after: Milestone, now: datetime, following: str = "", of: str = "") -> Message:
    member = owed(after, "moved", now, move=move(before, after))
    coming = [owed(after, following, of=of)] if following else []
    return message([member], [record(after, revision=2)], now, coming)


def tied(made: Milestone, *members: tuple[str, str]) -> Message:
    """Several reminders of one milestone that went into one delivery: the last gives the instant."""
    all_of_one = [owed(made, offset, of=of) for offset, of in members]
    return message(all_of_one, [record(made)], all_of_one[-1].at)


def many() -> Message:
    made = [
        milestone(claim("2026-10-27", MINISTER), id="iraq/depot", title="The depot at Taji is closed"),
        TWO,
        milestone("2026-12-01", id="iraq/visit", title="The foreign minister travels to Washington"),
        milestone(claim("2027-02-22~", REUTERS), id="iraq/advisers", title="The advisory mission begins"),
    ]
    members = [
        owed(made[0], "+28d"),
        owed(TWO, "+28d", utc("2026-10-28T06:00"), of="2026-09"),
        owed(made[2], "-7d"),
        owed(made[3], "-90d"),
    ]
    return message(members, [record(each) for each in made], NOVEMBER)


def many_with_news() -> Message:
    before = milestone("2026-12-01", id="iraq/visit", title="The foreign minister travels to Washington")
    after = replace(before, claims=(claim("2026-12-15", REUTERS),))
    finished = replace(ONE, id="iraq/signing", title="The agreement is signed")
    members = [
        owed(after, "moved", NOVEMBER, move=move(before, after)),
        owed(finished, "done", NOVEMBER),
        owed(TWO, "-30d", of="2026"),
    ]
    records = [record(after, revision=2), record(finished, done_on("2026-11-23")), record(TWO)]
    return message(members, records, NOVEMBER)


def fallback() -> Message:
    member = owed(ONE, "+1d", receiver="leads")
    leads = Route(path="route.routes[0]", receiver="leads", matchers=(parse_matcher('cause="overdue"'),))
    around = ItemContext(route=replace(ROOT, routes=(leads,)))
    (member,) = bound([member], [record(ONE)], around.route)
    made = lease([member], [record(ONE)], now=member.at)
    made = replace(made, delivery=replace(made.delivery, fallback_for="leads/webhook"))
    return compose(made, [member], member.at, around)


def notice() -> Message:
    told = Notice(
        slot="x",
        headline="milestones/iraq.yaml cannot be read",
        lines=("milestones/iraq.yaml:7:3: unknown key 'tilte'; did you mean 'title'?",
               "What was last known of it stays in force."),
    )  # fmt: skip
    empty = lease((), (), now=NOVEMBER)
    delivery = replace(empty.delivery, notice=told)
    return compose(replace(empty, delivery=delivery), (), NOVEMBER, ItemContext(route=ROOT))


def shipped(now: datetime, *members: tuple[str, str, str], following: tuple[str, str, str]) -> Message:
    """What the timeline in ``config/`` says; each member is a milestone's own id, an offset and a window."""
    definitions = load(Path(__file__).parents[2] / "config", {"console": NoOptions})
    milestones = list_milestones(definitions.timelines).values()
    by_id = {milestone.id.partition("/")[2]: milestone for milestone in milestones}
    all_of_them = [owed(by_id[name], offset, of=of) for name, offset, of in members]
    name, offset, of = following
    coming = [owed(by_id[name], offset, of=of)]
    return message(all_of_them, [record(by_id[one]) for one in {name for name, _, _ in members}], now, coming)


def sent_for_a_test() -> Message:
    delivery = Delivery(
        id="msg_1", receiver="desk", notifier="slack", members=(), bound_at=NOVEMBER, next_at=NOVEMBER
    )
    return compose_test(delivery, NOVEMBER)


def counted_from(edtf: str, by: str, done: str = "") -> Milestone:
    base = milestone(claim(edtf, MINISTER), id="iraq/phase-1")
    made = milestone(
        id="iraq/report", title="The ministry reports to parliament", counted=[relative("iraq/phase-1", by)]
    )
    dates = {base.id: datetime.fromisoformat(done).date()} if done else {}
    return resolve({base.id: base, made.id: made}, dates)[made.id]


DAY = milestone(claim("2026-09-30", MINISTER), title="The base at Erbil is handed over")
CLOCK = milestone(claim("2026-09-30T17:00", MINISTER), title="The base at Erbil is handed over")
YEAR = milestone(claim("2026", REUTERS))
VAGUE = {mark: milestone(claim(f"2026-09{mark}", MINISTER)) for mark in "~?%"}
BEFORE = milestone(claim("2026-09", MINISTER, reading=Reading.START))
SETTLED = milestone(claim("2026-09", MINISTER, REUTERS))
NOBODY = milestone("2026-09")
REFUSED = replace(
    SETTLED,
    claims=(
        *SETTLED.claims,
        claim("2027-09~", PENTAGON, rank=Rank.DEPRECATED, note="a third year; the minister refused"),
    ),
)
PAST = replace(SETTLED, claims=(claim("2026-05", MINISTER),))

ACKED = MilestoneStatus(
    ack_until=utc("2025-10-04T06:00"), ack_by="Amal Hassan", ack_why="the ministry is asked"
)
DROPPED = MilestoneStatus(
    cancelled=True, cancelled_by="Amal Hassan", cancelled_why="The talks\n were broken off."
)

SCENES: dict[str, Callable[[], Message]] = {
    # a single claim, through all its causes
    "approaching": lambda: one(ONE, "-7d", following="-1d"),
    "approaching-first": lambda: one(ONE, "-90d", following="opens"),
    "approaching-tomorrow": lambda: one(ONE, "-1d", following="0d"),
    "opens": lambda: one(ONE, "opens", following="-7d"),
    "due-month": lambda: one(ONE, "0d", following="+1d"),
    "due-day": lambda: one(DAY, "0d", following="+1d"),
    "overdue": lambda: one(ONE, "+1d", following="+7d"),
    "overdue-last": lambda: one(ONE, "+28d"),
    "done": lambda: one(ONE, "done", now=utc("2025-09-20T06:00"), status=done_on("2025-09-18")),
    "done-with-evidence": lambda: one(
        ONE,
        "done",
        now=utc("2025-09-20T06:00"),
        status=done_on("2025-09-18", evidence="https://news.example/handover"),
    ),
    "done-late": lambda: one(ONE, "done", now=utc("2025-10-20T06:00"), status=done_on("2025-10-18")),
    "done-contested": lambda: one(TWO, "done", now=NOVEMBER, status=done_on("2026-11-23")),
    # what somebody said of it
    "acknowledged": lambda: one(ONE, "acknowledged", now=utc("2025-09-20T06:00"), status=ACKED),
    "acknowledged-contested": lambda: one(
        TWO,
        "acknowledged",
        now=NOVEMBER,
        status=replace(ACKED, ack_until=utc("2026-12-08T06:00"), ack_why=""),
    ),
    "cancelled": lambda: one(ONE, "cancelled", now=utc("2025-09-20T06:00"), status=DROPPED),
    # what the sources say
    "several-sources": lambda: one(SETTLED, "+7d", following="+14d"),
    "no-sources": lambda: one(NOBODY, "-7d", following="-1d"),
    "no-sources-overdue": lambda: one(NOBODY, "+1d", following="+7d"),
    "deprecated-shown": lambda: one(REFUSED, "-30d", following="opens"),
    "tentative": lambda: one(replace(ONE, tentative=True), "-30d", following="opens"),
    "counted": lambda: one(counted_from("2026-09", "90d"), "-7d", following="-1d"),
    "counted-from-done": lambda: one(counted_from("2026-09", "90d", "2026-08-14"), "-7d", following="-1d"),
    # qualifiers never pass for certain
    "qualifier-approximate-approaching": lambda: one(VAGUE["~"], "-7d", following="-1d"),
    "qualifier-approximate-due": lambda: one(VAGUE["~"], "0d", following="+1d"),
    "qualifier-approximate-overdue": lambda: one(VAGUE["~"], "+1d", following="+7d"),
    "qualifier-uncertain-overdue": lambda: one(VAGUE["?"], "+1d", following="+7d"),
    "qualifier-both-overdue": lambda: one(VAGUE["%"], "+7d", following="+14d"),
    "qualifier-both-opens": lambda: one(VAGUE["%"], "opens", following="-7d"),
    # contested
    "contested-approaching": lambda: one(TWO, "-7d", of="2026-09", following="-1d", following_of="2026-09"),
    "contested-opens": lambda: one(TWO, "opens", of="2026-09", following="-90d", following_of="2026"),
    "contested-due": lambda: one(TWO, "0d", of="2026-09", following="+1d", following_of="2026-09"),
    "contested-passed-by-some": lambda: one(
        TWO, "+28d", of="2026-09", now=NOVEMBER, following="-30d", following_of="2026"
    ),
    "contested-passed-by-all": lambda: one(TWO, "+1d", of="2026", following="+7d", following_of="2026"),
    "contested-one-reminds": lambda: one(
        replace(TWO, policy=policy(contested=Contested.LATEST)),
        "-30d",
        of="2026",
        following="-7d",
        following_of="2026",
    ),
    "contested-three": lambda: one(
        replace(TWO, claims=(*TWO.claims, claim("2027-03?", PENTAGON))), "+7d", of="2026-09"
    ),
    "contested-same-instant": lambda: tied(
        milestone(claim("2026-09-30", MINISTER), claim("2026-10-06", REUTERS)),
        ("0d", "2026-09-30"),
        ("-7d", "2026-10-06"),
    ),
    # late, held back, reopened
    "late-by-catch-up": lambda: one(ONE, "+7d", now=utc("2025-10-16T04:30"), following="+28d"),
    "held-back-by-a-mute": lambda: one(
        ONE,
        "+1d",
        now=utc("2025-10-04T21:00"),
        reason=MuteInterval(interval="weekend"),
        following="+7d",
    ),
    "snoozed": lambda: one(
        ONE, "+1d", now=utc("2025-10-05T06:00"), reason=SnoozedBy(by="Amal Hassan"), following="+7d"
    ),
    "late-approaching": lambda: one(ONE, "-7d", now=utc("2025-09-25T08:00"), following="-1d"),
    # moved
    "moved-later": lambda: moved(SETTLED, YEAR, utc("2026-06-01T06:00"), "-90d"),
    "moved-earlier": lambda: moved(YEAR, SETTLED, utc("2026-06-01T06:00"), "-90d"),
    "moved-into-the-past": lambda: moved(SETTLED, PAST, utc("2026-06-01T06:00")),
    "moved-narrowed": lambda: moved(SETTLED, DAY, utc("2026-09-14T06:00"), "-7d"),
    "moved-by-hours": lambda: moved(
        CLOCK, replace(CLOCK, claims=(claim("2026-09-30T12:00", MINISTER),)), utc("2026-09-14T06:00"), "-7d"
    ),
    "moved-now-contested": lambda: moved(SETTLED, TWO, utc("2026-06-01T06:00"), "-90d", "2026-09"),
    "moved-now-settled": lambda: moved(TWO, YEAR, utc("2026-06-01T06:00"), "-90d"),
    "moved-one-of-two": lambda: moved(
        TWO,
        replace(TWO, claims=(TWO.claims[0], claim("2027-03", REUTERS))),
        utc("2026-06-01T06:00"),
        "-90d",
        "2026-09",
    ),
    "moved-both": lambda: moved(
        TWO,
        replace(TWO, claims=(claim("2026-10", MINISTER), claim("2027-03", REUTERS))),
        utc("2026-06-01T06:00"),
        "-90d",
        "2026-10",
    ),
    "moved-to-no-date": lambda: moved(SETTLED, milestone(), utc("2026-06-01T06:00")),
    # other deadlines
    "date-time-approaching": lambda: one(CLOCK, "-1d", following="0d"),
    "date-time-due": lambda: one(CLOCK, "0d", following="+1d"),
    "date-time-overdue": lambda: one(CLOCK, "+1d", following="+7d"),
    "year-opens": lambda: one(YEAR, "opens", following="-90d"),
    "year-due": lambda: one(YEAR, "0d", following="+1d"),
    "quarter-approaching": lambda: one(milestone(claim("2026-Q3", MINISTER)), "-7d", following="-1d"),
    "quarter-opens": lambda: one(milestone(claim("2026-Q3", MINISTER)), "opens", following="-30d"),
    "half-opens": lambda: one(milestone(claim("2026-41", MINISTER)), "opens", following="-90d"),
    "interval-opens": lambda: one(milestone(claim("2026-09/2026-11", MINISTER)), "opens", following="-30d"),
    "interval-overdue": lambda: one(milestone(claim("2026-09/2026-11", MINISTER)), "+1d", following="+7d"),
    "one-of-approaching": lambda: one(
        milestone(claim("[2026-09,2026-12]", REUTERS)), "-30d", following="-7d"
    ),
    "one-of-opens": lambda: one(milestone(claim("[2026-09,2026-12]", REUTERS)), "opens"),
    "before-a-month": lambda: one(BEFORE, "-7d", following="-1d"),
    "before-a-month-overdue": lambda: one(BEFORE, "+1d", following="+7d"),
    "open-end-opens": lambda: one(milestone(claim("2026-09/..", MINISTER)), "opens"),
    # the timeline in config/
    "shipped-2024": lambda: shipped(
        utc("2024-09-10T06:00"), ("signing", "opens", ""), following=("signing", "-7d", "")
    ),
    "shipped-2026-11-24": lambda: shipped(
        NOVEMBER, ("phase-2", "+28d", "2026-09"), following=("phase-2", "-30d", "2026")
    ),
    # layouts
    "many": many,
    "many-with-news": many_with_news,
    "fallback": fallback,
    "notice": notice,
    "test": sent_for_a_test,
}
