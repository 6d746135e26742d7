"""From the simulator's words to what the product reads: definitions, configuration, people's actions."""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import replace
from datetime import time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from alertd.core.config import (
    Config,
    Definitions,
    Heartbeat,
    NotifierSpec,
    Problem,
    Receiver,
    Timeline,
    UnreadMilestones,
)
from alertd.core.deadline import parse_deadline
from alertd.core.ledger.backpressure import parse_rate
from alertd.core.milestones.milestone import Claim, Milestone, RelativeClaim, Source
from alertd.core.milestones.policy import Policy
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route
from alertd.core.time.duration import Duration
from alertd.core.time.interval import NamedInterval, TimeInterval, parse_weekdays
from alertd.errors import TimelineUnread
from tests.sim.spec import (
    CATCH_UP_DAYS,
    CHANNELS,
    DAMPING_S,
    DESK,
    LADDERS,
    LEADS,
    OPS,
    RATED,
    RETRY_FOR_S,
    SPARE,
    Files,
    Follower,
    Rules,
    Spec,
)

SOURCES = (
    Source(id="minister", who="A. Minister", short="the minister"),
    Source(id="press", who="The press"),
)
FOLLOWING = "c"
WEEKEND = NamedInterval(
    name="weekend",
    intervals=tuple(TimeInterval(weekdays=(parse_weekdays(day),)) for day in ("saturday", "sunday")),
)


@lru_cache(maxsize=512)
def definitions(files: Files, version: int) -> Definitions:
    """What loading the folder gives."""
    broken = frozenset(f"milestones/{name}.yaml" for name in files.broken)
    names = sorted({spec.timeline for spec in (*files.specs, *_follow(files))} - files.broken)
    problems = tuple(Problem(file=file, line=1, column=1, message="half written") for file in sorted(broken))
    if files.config_broken:
        problem = Problem(file="alertd.yaml", line=1, column=1, message="half written")
        return Definitions(
            config=None, problems=(problem, *problems), broken=broken, fingerprint=str(version)
        )
    return Definitions(
        config=_config(files.rules),
        timelines=tuple(_timeline(name, files) for name in names),
        problems=problems,
        broken=broken,
        fingerprint=str(version),
    )


@lru_cache(maxsize=64)
def zone(key: str, offset_min: int | None = None) -> ZoneInfo:
    """The zone, or one of the same name from a zone database in which it has ``offset_min``."""
    if offset_min is None:
        return ZoneInfo(key)
    # TZif version 1: no transition, one type of local time, its name "SIM".
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    data = b"TZif" + bytes(16) + counts + struct.pack(">lbB", offset_min * 60, 0, 0) + b"SIM\0"
    return ZoneInfo.from_file(io.BytesIO(data), key=key)


def read_timeline(timeline: Timeline, files: Files) -> Timeline:
    """What reading a file of the folder again gives, which must be the one that was loaded."""
    if timeline.id in files.broken or _timeline(timeline.id, files) != timeline:
        raise TimelineUnread(f"{timeline.file} has changed")
    milestones = tuple(_milestone(one) for one in files.specs if one.timeline == timeline.id)
    if timeline.id == FOLLOWING:
        milestones = tuple(_following(one) for one in files.followers)
    return replace(timeline, milestones=milestones)


def _timeline(name: str, files: Files) -> Timeline:
    """A timeline whose milestones are read again when they are needed."""
    specs = [one for one in (*files.specs, *_follow(files)) if one.timeline == name]
    bases = frozenset(one.base for one in files.followers) if name == FOLLOWING else frozenset()
    return Timeline(
        id=name,
        title="A timeline",
        file=f"milestones/{name}.yaml",
        milestones=UnreadMilestones(count=len(specs), bases=bases),
        content=_hash_specs(name, files),
        environment=repr((files.rules, sorted({one.shift_min for one in files.specs}))),
    )


def _follow(files: Files) -> tuple[Spec, ...]:
    """What stands in the file of the followers, without any date."""
    return tuple(one.resolve(None, None) for one in files.followers)


@lru_cache(maxsize=64)
def _following(one: Follower) -> Milestone:
    relative = RelativeClaim(base=one.base, by=Duration(days=one.days), sources=(SOURCES[0],))
    return replace(_milestone(one.resolve(None, None)), relative=(relative,))


def _hash_specs(name: str, files: Files) -> str:
    specs: list[object] = [replace(one, shift_min=0) for one in files.specs if one.timeline == name]
    if name == FOLLOWING:
        specs.extend(files.followers)
    return hashlib.sha256(repr(specs).encode()).hexdigest()


@lru_cache(maxsize=512)
def _milestone(spec: Spec) -> Milestone:
    return Milestone(
        id=spec.id,
        timeline=spec.timeline,
        timeline_title="A timeline",
        title=spec.title,
        zone=zone(spec.zone, 180 + spec.shift_min if spec.shift_min else None),
        policy=_policy(spec.ladder),
        claims=tuple(
            Claim(deadline=parse_deadline(text), sources=(SOURCES[place % 2],))
            for place, text in enumerate(spec.deadlines)
        ),
    )


@lru_cache(maxsize=8)
def _policy(name: str) -> Policy:
    ladder = LADDERS[name]
    return Policy(
        name=name,
        before=tuple(Duration(days=days) for days in ladder.before),
        after=tuple(Duration(days=days) for days in ladder.after),
        then_every=Duration(days=ladder.nag) if ladder.nag else None,
        on_day=ladder.on_day,
        opens=ladder.opens,
        at=time(9, 0),
    )


@lru_cache(maxsize=8)
def _config(rules: Rules) -> Config:
    mute = (WEEKEND,) if rules.mute_weekends else ()
    late = Route(
        receiver=LEADS,
        matchers=(parse_matcher('cause=~"overdue|moved"'),),
        group_by=("milestone",),
        continue_=True,
        mute=mute,
        path="route.routes[0]",
    )
    # Where a rate is set there is to be much to send.
    group_by = ("milestone",) if rules.rate or rules.each_alone else ("timeline",)
    rest = Route(receiver=DESK, group_by=group_by, mute=mute, path="route.routes[1]")
    return Config(
        zone=zone("UTC"),
        catch_up=timedelta(days=CATCH_UP_DAYS),
        damping=timedelta(seconds=DAMPING_S),
        retry_for=timedelta(seconds=RETRY_FOR_S),
        policies={name: _policy(name) for name in LADDERS},
        route=Route(receiver=DESK, routes=(late, rest) if rules.leads else (rest,), path="route"),
        receivers={
            name: _receiver(name, channels, rules.rate)
            for name, channels in CHANNELS.items()
            if name != LEADS or rules.knows_leads
        },
        heartbeat=Heartbeat(url="https://switch.example/simulated") if rules.heartbeat else None,
        operator=OPS,
        fallback_receiver=SPARE,
    )


def _receiver(name: str, channels: tuple[str, ...], rate: str) -> Receiver:
    specs = tuple(
        NotifierSpec(
            name=one.partition("/")[2],
            type="simulated",
            options=None,
            rate=parse_rate(rate) if rate and one == RATED else None,
        )
        for one in channels
    )
    return Receiver(name=name, notifiers=specs)
