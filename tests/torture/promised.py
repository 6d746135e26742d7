"""What is owed: deadlines a few seconds ahead, written as files, and when each is to be reminded of.

Counted here by adding seconds, with no code of alertd's: it is what the run is judged by.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

PER_TIMELINE = 40

ZONES = {
    # All without summer time.
    "UTC": timedelta(),
    "Asia/Baghdad": timedelta(hours=3),
    "Asia/Kolkata": timedelta(hours=5, minutes=30),
    "America/Bogota": timedelta(hours=-5),
}
LEADS = {"1min": 60, "5min": 300, "1h": 3600, "PT90M": 5400}
"""Lead times as they are written, and in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """One that is to be reminded of once, at ``due``, to each receiver."""

    id: str
    due: datetime
    deadline: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    id: str
    zone: str
    lead: str
    milestones: Sequence[Milestone]

    def text(self) -> str:
        listed = "".join(
            f"  - {{id: {one.id.partition('/')[2]}, title: 'Item {one.id.replace('/', '-')} comes about', "
            f"deadline: '{one.deadline}', source: m}}\n"
            for one in self.milestones
        )
        return (
            f"timeline: {self.id}\ntitle: Timeline {self.id}\ntimezone: {self.zone}\n"
            f"policy: {{before: [{self.lead}], on_day: false, after: [], opens: false}}\n"
            f"sources: {{m: {{who: A. Minister}}}}\nmilestones:\n{listed}"
        )


def timelines(
    rng: random.Random, *, count: int, begin: datetime, span_s: float, name: str = "t"
) -> list[Timeline]:
    """``count`` milestones whose reminders fall due at whole seconds, evenly from ``begin`` on."""
    begin = begin.replace(microsecond=0)
    instants = [begin + timedelta(seconds=int(number * span_s / count)) for number in range(count)]
    rng.shuffle(instants)
    made = []
    for number, start in enumerate(range(0, count, PER_TIMELINE)):
        zone, (lead, lead_s) = rng.choice([*ZONES]), rng.choice([*LEADS.items()])
        milestones = [
            Milestone(id=f"{name}{number}/m{index}", due=due, deadline=written(due, lead_s, zone, rng))
            for index, due in enumerate(instants[start : start + PER_TIMELINE])
        ]
        made.append(Timeline(id=f"{name}{number}", zone=zone, lead=lead, milestones=milestones))
    return made


def written(due: datetime, lead_s: int, zone: str, rng: random.Random) -> str:
    """The deadline, as the wall clock of the zone shows it or as an instant of UTC."""
    at = due + timedelta(seconds=lead_s)
    if rng.random() < 0.3:
        return f"{at:%Y-%m-%dT%H:%M:%S}Z"
    return f"{at + ZONES[zone]:%Y-%m-%dT%H:%M:%S}"


def write(folder: Path, made: Sequence[Timeline]) -> None:
    (folder / "milestones").mkdir(parents=True, exist_ok=True)
    for one in made:
        (folder / "milestones" / f"{one.id}.yaml").write_text(one.text(), encoding="utf-8")


def owed(made: Sequence[Timeline], receivers: Sequence[str]) -> Mapping[tuple[str, str], datetime]:
    """When each receiver is to be reminded of each milestone, by receiver and full id."""
    return {
        (receiver, one.id): one.due
        for timeline in made
        for one in timeline.milestones
        for receiver in receivers
    }


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
