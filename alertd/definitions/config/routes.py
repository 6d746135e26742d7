"""Read the tree of routes, under Alertmanager's keys and with its rules for the root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from alertd.core.config import Receiver
from alertd.core.routing.digest import AHEAD, DAY_NAMES, EVERY_DAY, Digest
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import BY_ALL_LABELS, Quiet, Route
from alertd.core.time.interval import NamedInterval, Range, TimeInterval, TimeRange
from alertd.definitions.config.keys import DIGEST, QUIET, ROOT_ROUTE, ROUTE
from alertd.definitions.reading.keys import LABEL_NAME, NAME
from alertd.definitions.reading.nodes import Node, Scalar, Sequence
from alertd.definitions.reading.reader import Reader, shown
from alertd.definitions.reading.terms import clock, span, zone

_DAY_MINUTES = 24 * 60
_DEFAULT_AT = time(9, 0)
_WEEKDAYS = {name: number for number, name in enumerate(DAY_NAMES)}
_EVERY = {"day": EVERY_DAY, "month": (), **{name: (number,) for name, number in _WEEKDAYS.items()}}


def digest(reader: Reader, node: Node, default: ZoneInfo) -> Digest | None:
    """The digest of a route; ``default`` is its receiver's zone."""
    values = reader.mapping(node, DIGEST)
    if values is None or "every" not in values:
        return None
    weekdays = _every(reader, values["every"])
    at = clock(reader, values["at"]) if "at" in values else _DEFAULT_AT
    own = zone(reader, values["timezone"]) if "timezone" in values else None
    ahead = span(reader, values["ahead"], least=timedelta(days=1)) if "ahead" in values else AHEAD
    even_if_empty = reader.flag(values["even_if_empty"]) if "even_if_empty" in values else False
    if weekdays is None or at is None or ahead is None:
        return None
    return Digest(
        weekdays=weekdays,
        at=at,
        zone=own or default,
        ahead=timedelta(days=ahead.days),
        even_if_empty=bool(even_if_empty),
    )


def quiet(reader: Reader, node: Node, zone_of_it: ZoneInfo) -> Quiet | None:
    """The quiet hours of a receiver, in its zone."""
    values = reader.mapping(node, QUIET)
    if values is None:
        return None
    exempt = (
        [reader.parsed(item, parse_matcher) for item in reader.items(values["except"], "except")]
        if ("except" in values)
        else []
    )
    days = _weekdays(reader, values["days"]) if "days" in values else ()
    times: tuple[TimeRange, ...] = ()
    for key, other in (("from", "to"), ("to", "from")):
        if key in values and other not in values:
            reader.refuse(values[key], f"{key} without {other}; quiet hours need both")
    if "from" in values and "to" in values:
        times = _hours(reader, values["from"], values["to"])
    elif not ({"from", "to", "days"} & values.keys()):
        reader.refuse(node, 'quiet needs from and to, or days; write {from: "22:00", to: "07:00"}')
    if len(days) == len(DAY_NAMES):
        reader.refuse(values["days"], "all seven days: it would never be told; leave one out")
    intervals = [TimeInterval(times=times, location=zone_of_it)] if times else []
    if days:
        # Sunday is 0 to an interval, as it is to Alertmanager.
        ranges = tuple(Range(first=(day + 1) % 7, last=(day + 1) % 7) for day in days)
        intervals.append(TimeInterval(weekdays=ranges, location=zone_of_it))
    if not intervals:
        return None
    hours = NamedInterval(name=f"{_words(times, days)} ({zone_of_it.key})", intervals=tuple(intervals))
    return Quiet(hours=hours, exempt=tuple(one for one in exempt if one is not None))


def _every(reader: Reader, node: Node) -> tuple[int, ...] | None:
    if isinstance(node, Scalar):
        return reader.one_of(node, _EVERY, "day")
    return _weekdays(reader, node) or None


def _weekdays(reader: Reader, node: Node) -> tuple[int, ...]:
    read: list[int] = []
    items = reader.items(node, "weekdays", 100)
    for item in items:
        day = reader.one_of(item, _WEEKDAYS, "weekday")
        if day in read:
            reader.refuse(item, f"{shown(DAY_NAMES[day])}: this day is in the list twice; remove one")
        elif day is not None:
            read.append(day)
    if not items and isinstance(node, Sequence):
        reader.refuse(node, "no weekday at all; write at least one, such as [monday]")
    return tuple(sorted(read))


def _hours(reader: Reader, start: Node, end: Node) -> tuple[TimeRange, ...]:
    """Minutes of the day; two ranges when they are over midnight."""
    first, last = clock(reader, start), clock(reader, end)
    if first is None or last is None:
        return ()
    begin, until = (one.hour * 60 + one.minute for one in (first, last))
    if begin == until:
        reader.refuse(end, "from and to are the same: it would never be told; write another time")
        return ()
    if begin < until:
        return (TimeRange(start=begin, end=until),)
    after = TimeRange(start=0, end=until)
    return (TimeRange(start=begin, end=_DAY_MINUTES), *((after,) if until else ()))


def _words(times: tuple[TimeRange, ...], days: tuple[int, ...]) -> str:
    """``22:00 to 07:00 and all Saturday and Sunday``."""
    hours = f"{_clock_text(times[0].start)} to {_clock_text(times[-1].end)}" if times else ""
    names = [DAY_NAMES[day].capitalize() for day in days]
    whole = " and ".join(filter(None, (", ".join(names[:-1]), names[-1] if names else "")))
    return " and ".join(filter(None, (hours, whole and f"all {whole}")))


def _clock_text(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def root_route(
    reader: Reader,
    node: Node,
    receivers: Mapping[str, Receiver],
    intervals: Mapping[str, NamedInterval],
    default: ZoneInfo,
) -> Route:
    """The root: it takes everything and sends at all times, so it has neither matchers nor intervals.

    Args:
        default: the zone of digests whose receiver has none of its own.
    """
    values = reader.mapping(node, ROOT_ROUTE) or {}
    root = _Routes(reader, receivers, intervals, default).route(values, "route", "")
    return replace(root, quiet=quiet_of(receivers))


def quiet_of(receivers: Mapping[str, Receiver]) -> dict[str, Quiet]:
    """The quiet hours of the receivers that have some, by name."""
    return {one.name: one.quiet for one in receivers.values() if one.quiet is not None}


class _Routes:
    def __init__(
        self,
        reader: Reader,
        receivers: Mapping[str, Receiver],
        intervals: Mapping[str, NamedInterval],
        default: ZoneInfo,
    ) -> None:
        self._reader = reader
        self._receivers = receivers
        self._intervals = dict(intervals)
        self._default = default

    def route(self, values: Mapping[str, Node], path: str, parent: str) -> Route:
        """``parent``: the name of the receiver that it inherits."""
        reader = self._reader
        receiver = None
        if "receiver" in values:
            names = {name: name for name in self._receivers}
            receiver = reader.one_of(values["receiver"], names, "receiver")
        matchers = [reader.parsed(item, parse_matcher) for item in self._items(values, "matchers")]
        continues = reader.flag(values["continue"]) if "continue" in values else None
        routes = [
            self.route(reader.mapping(item, ROUTE) or {}, f"{path}.routes[{index}]", receiver or parent)
            for index, item in enumerate(self._items(values, "routes"))
        ]
        return Route(
            receiver=receiver or "",
            matchers=tuple(matcher for matcher in matchers if matcher is not None),
            group_by=self._group_by(values["group_by"]) if "group_by" in values else None,
            continue_=bool(continues),
            mute=self._named(values, "mute_time_intervals"),
            active=self._named(values, "active_time_intervals"),
            digest=self._digest(values, receiver or parent),
            routes=tuple(routes),
            path=path,
        )

    def _digest(self, values: Mapping[str, Node], receiver: str) -> Digest | None:
        if "digest" not in values:
            return None
        for key in ("mute_time_intervals", "active_time_intervals"):
            if key in values:
                advice = "the digest says when it sends; remove one of the two"
                self._reader.refuse(values[key], f"{key} beside digest; {advice}")
        known = self._receivers.get(receiver)
        return digest(self._reader, values["digest"], (known and known.zone) or self._default)

    def _items(self, values: Mapping[str, Node], key: str) -> list[Node]:
        return self._reader.items(values[key], key) if key in values else []

    def _named(self, values: Mapping[str, Node], key: str) -> tuple[NamedInterval, ...]:
        found = [
            self._reader.one_of(item, self._intervals, "time interval") for item in self._items(values, key)
        ]
        return tuple(one for one in found if one is not None)

    def _group_by(self, node: Node) -> tuple[str, ...]:
        names: list[str] = []
        for item in self._reader.items(node, "the labels of group_by", 100):
            name = self._reader.text(item, NAME)
            if name is None:
                continue
            if name != BY_ALL_LABELS and not LABEL_NAME.fullmatch(name):
                advice = "it has letters, digits and underscores, or is ... alone"
                self._reader.refuse(item, f"{shown(name)}: not a label's name; {advice}")
            elif name in names:
                self._reader.refuse(item, f"{shown(name)}: this label is in group_by twice; remove one")
            else:
                names.append(name)
        if BY_ALL_LABELS in names and len(names) > 1:
            self._reader.refuse(node, f"{BY_ALL_LABELS!r}: it stands for every label; write it alone")
        return tuple(names)
