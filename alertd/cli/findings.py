"""Finds likely mistakes in definitions that are formally valid. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.config import Config
from alertd.core.milestones.milestone import Milestone, list_operative_windows
from alertd.core.milestones.occurrence import list_occurrences
from alertd.core.planning.plan import Planned, expand, plan
from alertd.core.routing.route import Route
from alertd.core.time.instant import to_instant, to_wall
from alertd.core.words import join_with_and

LOOKS_AHEAD = timedelta(days=800)
"""How far ahead reminders are examined. A later run of the command examines reminders after that."""

NAMED = 5
"""The most names that a finding lists. Further names are only counted."""


class FindingVerdict(StrEnum):
    """How serious a finding is."""

    WELL = "well"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        topic: the thing that was checked, in one or two words, such as ``clock``.
        text: the result, as a sentence without its full stop.
        fix: the operator's next step, as a sentence without its full stop; "" if there is nothing to do.
    """

    topic: str
    verdict: FindingVerdict
    text: str
    fix: str = ""


def check_definitions(config: Config, milestones: Iterable[Milestone], now: datetime) -> tuple[Finding, ...]:
    """Return findings about milestones that get no reminder, unused receivers and time zones.

    Args:
        now: an aware instant; reminders from then on are examined.
    """
    known = sorted(milestones, key=lambda milestone: milestone.id)
    planned = plan(known, config.route, now, now + LOOKS_AHEAD)
    return (*_find_untold(config, known, planned, now), *_find_unused(config), *_find_zone_traps(known, now))


def _find_untold(
    config: Config, milestones: list[Milestone], planned: Iterable[Planned], now: datetime
) -> Iterator[Finding]:
    silent = {name for name, receiver in config.receivers.items() if not receiver.notifiers}
    told = {
        reminder.occurrence.milestone.partition("@")[0]
        for reminder in planned
        if reminder.receiver not in silent
    }
    coming = [
        milestone.id
        for milestone in milestones
        if milestone.repeat is not None or _ends_after(milestone, now)
    ]
    untold = [name for name in coming if name not in told]
    if untold:
        yield Finding(
            topic="milestones",
            verdict=FindingVerdict.NOTE,
            text=f"nobody is reminded of {_list_names(untold)} in the next two years",
            fix="see their policy, and where their labels lead: alertd routes test",
        )
    elif coming:
        text = f"somebody is reminded of each of the {len(coming)} that are still to come"
        yield Finding(topic="milestones", verdict=FindingVerdict.WELL, text=text)
    else:
        yield Finding(topic="milestones", verdict=FindingVerdict.NOTE, text="none is still to come")


def _ends_after(milestone: Milestone, now: datetime) -> bool:
    ends = [stated.window.ends for stated in list_operative_windows(milestone)]
    return any(end is None or end > now for end in ends)


def _find_unused(config: Config) -> Iterator[Finding]:
    used = {config.operator, config.fallback_receiver, *_receivers(config.route)}
    unused = sorted(set(config.receivers) - used)
    silent = sorted(
        name for name, receiver in config.receivers.items() if name in used and not receiver.notifiers
    )
    if unused:
        text = f"no route leads to {_list_names(unused)}"
        yield Finding(
            topic="receivers", verdict=FindingVerdict.NOTE, text=text, fix="name it in a route, or remove it"
        )
    if silent:
        text = f"{_list_names(silent)} has no notifiers, so no message is sent"
        yield Finding(topic="receivers", verdict=FindingVerdict.WRONG, text=text, fix="give it one")
    if not config.operator:
        yield Finding(
            topic="operator",
            verdict=FindingVerdict.NOTE,
            text="no receiver is told when alertd itself has a problem",
            fix="name a receiver as operator",
        )


def _receivers(route: Route) -> Iterator[str]:
    yield route.receiver
    for child in route.routes:
        yield from _receivers(child)


def _find_zone_traps(milestones: list[Milestone], now: datetime) -> Iterator[Finding]:
    fixed = sorted({milestone.zone.key for milestone in milestones if _is_fixed(milestone.zone)})
    if fixed:
        yield Finding(
            topic="time zones",
            verdict=FindingVerdict.NOTE,
            text=f"{join_with_and(fixed)} knows no summer time,"
            " and Etc/GMT+3 is three hours behind UTC, not ahead",
            fix="name the place that is meant, such as Europe/Berlin",
        )
    until = now + LOOKS_AHEAD
    instances = (instance for milestone in milestones for instance in expand(milestone, now, until))
    due = (
        (instance, occurrence.at)
        for instance in instances
        for occurrence in list_occurrences(instance, now, until)
    )
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
        yield Finding(
            topic="time zones",
            verdict=FindingVerdict.NOTE,
            text=f"a reminder of {milestone.id} {what}",
            fix="it is sent, an hour from what may be meant; choose another `at` if that matters",
        )


def _is_fixed(zone: ZoneInfo) -> bool:
    key = zone.key
    return key.startswith(("Etc/GMT+", "Etc/GMT-")) or key in ("EST", "MST", "HST", "GMT")


def _is_twice(wall: datetime, zone: ZoneInfo) -> bool:
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first != second


def _list_names(names: list[str]) -> str:
    if len(names) <= NAMED:
        return join_with_and(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
