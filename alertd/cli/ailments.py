"""What is likely a mistake in definitions that are right as far as their form goes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.config import Config
from alertd.core.milestones.milestone import Milestone, operative_windows
from alertd.core.milestones.occurrence import occurrences
from alertd.core.planning.plan import Planned, expand, plan
from alertd.core.routing.route import Route
from alertd.core.time.instant import to_instant, to_wall
from alertd.core.words import listing

LOOKS_AHEAD = timedelta(days=800)
"""How far; what is further off will be looked at again by then."""

NAMED = 5
"""Milestones that are named in one finding; of more the number is told."""


class Severity(StrEnum):
    """How bad it is."""

    WELL = "well"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was looked at and what was seen.

    Attributes:
        topic: in a word or two, such as ``clock``.
        text: a sentence without its full stop.
        mend: what to do about it, the same; "" when there is nothing to do.
    """

    topic: str
    verdict: Severity
    text: str
    mend: str = ""


def of_definitions(config: Config, milestones: Iterable[Milestone], now: datetime) -> tuple[Diagnosis, ...]:
    """Milestones that nobody is told about, receivers that nothing leads to, and traps of time zones."""
    known = sorted(milestones, key=lambda one: one.id)
    planned = plan(known, config.route, now, now + LOOKS_AHEAD)
    return (*_untold(config, known, planned, now), *_unused(config), *_zones(known, now))


def _untold(
    config: Config, milestones: list[Milestone], planned: Iterable[Planned], now: datetime
) -> Iterator[Diagnosis]:
    mute = {name for name, receiver in config.receivers.items() if not receiver.notifiers}
    told = {one.occurrence.milestone.partition("@")[0] for one in planned if one.receiver not in mute}
    coming = [one.id for one in milestones if one.repeat is not None or _ends_after(one, now)]
    untold = [name for name in coming if name not in told]
    if untold:
        yield Diagnosis(
            topic="milestones",
            verdict=Severity.NOTE,
            text=f"nobody is reminded of {_named(untold)} in the next two years",
            mend="see their policy, and where their labels lead: alertd routes test",
        )
    elif coming:
        text = f"somebody is reminded of each of the {len(coming)} that are still to come"
        yield Diagnosis(topic="milestones", verdict=Severity.WELL, text=text)
    else:
        yield Diagnosis(topic="milestones", verdict=Severity.NOTE, text="none is still to come")


def _ends_after(milestone: Milestone, now: datetime) -> bool:
    ends = [stated.window.ends for stated in operative_windows(milestone)]
    return any(end is None or end > now for end in ends)


def _unused(config: Config) -> Iterator[Diagnosis]:
    used = {config.operator, config.fallback_receiver, *_receivers(config.route)}
    unused = sorted(set(config.receivers) - used)
    mute = sorted(name for name, one in config.receivers.items() if name in used and not one.notifiers)
    if unused:
        text = f"no route leads to {_named(unused)}"
        yield Diagnosis(
            topic="receivers", verdict=Severity.NOTE, text=text, mend="name it in a route, or remove it"
        )
    if mute:
        text = f"{_named(mute)} has no notifiers, so nobody is told"
        yield Diagnosis(topic="receivers", verdict=Severity.WRONG, text=text, mend="give it one")
    if not config.operator:
        yield Diagnosis(
            topic="operator",
            verdict=Severity.NOTE,
            text="nobody is told what goes wrong with alertd itself",
            mend="name a receiver as operator",
        )


def _receivers(route: Route) -> Iterator[str]:
    yield route.receiver
    for child in route.routes:
        yield from _receivers(child)


def _zones(milestones: list[Milestone], now: datetime) -> Iterator[Diagnosis]:
    fixed = sorted({one.zone.key for one in milestones if _is_fixed(one.zone)})
    if fixed:
        yield Diagnosis(
            topic="time zones",
            verdict=Severity.NOTE,
            text=f"{listing(fixed)} knows no summer time, and Etc/GMT+3 is three hours behind UTC, not ahead",
            mend="name the place that is meant, such as Europe/Berlin",
        )
    until = now + LOOKS_AHEAD
    instances = (instance for one in milestones for instance in expand(one, now, until))
    due = ((instance, one.at) for instance in instances for one in occurrences(instance, now, until))
    for milestone, at in due:
        wall = to_wall(at, milestone.zone)
        meant = datetime.combine(wall.date(), milestone.policy.at)
        if to_wall(to_instant(meant, milestone.zone), milestone.zone) != meant:
            what = (
                f"is at {meant:%H:%M} on {meant:%Y-%m-%d}, a time that does not exist in {milestone.zone.key}"
            )
        elif wall == meant and _is_twice(meant, milestone.zone):
            what = f"is at {meant:%H:%M} on {meant:%Y-%m-%d}, a time that comes twice in {milestone.zone.key}"
        else:
            continue
        yield Diagnosis(
            topic="time zones",
            verdict=Severity.NOTE,
            text=f"a reminder of {milestone.id} {what}",
            mend="it is sent, an hour from what may be meant; choose another `at` if that matters",
        )


def _is_fixed(zone: ZoneInfo) -> bool:
    key = zone.key
    return key.startswith(("Etc/GMT+", "Etc/GMT-")) or key in ("EST", "MST", "HST", "GMT")


def _is_twice(wall: datetime, zone: ZoneInfo) -> bool:
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second


def _named(names: list[str]) -> str:
    if len(names) <= NAMED:
        return listing(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
