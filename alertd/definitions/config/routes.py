"""Read the routing tree. The keys and the rules for the root are those of Alertmanager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from alertd.core.config import Receiver
from alertd.core.routing.digest import AHEAD, DAY_NAMES, EVERY_DAY, Digest
from alertd.core.routing.labels import LABEL_NAME
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import BY_ALL_LABELS, Quiet, Route
from alertd.core.time.interval import NamedInterval, Range, TimeInterval, TimeRange
from alertd.definitions.config.keys import DIGEST, QUIET, ROOT_ROUTE, ROUTE
from alertd.definitions.reading.keys import NAME
from alertd.definitions.reading.nodes import Node, Scalar, Sequence
from alertd.definitions.reading.reader import Reader, quote
from alertd.definitions.reading.terms import read_clock, read_span, read_zone

_DAY_MINUTES = 24 * 60
_DEFAULT_AT = time(9, 0)
_WEEKDAYS = {name: number for number, name in enumerate(DAY_NAMES)}
_EVERY = {"day": EVERY_DAY, "month": (), **{name: (number,) for name, number in _WEEKDAYS.items()}}


def read_digest(reader: Reader, node: Node, default: ZoneInfo) -> Digest | None:
    """Read the digest schedule of a route.

    Args:
        default: the zone of the receiver, unless the digest names a zone.
    """
    values = reader.read_mapping(node, DIGEST)
    if values is None or "every" not in values:
        return None
    weekdays = _read_every(reader, values["every"])
    at = read_clock(reader, values["at"]) if "at" in values else _DEFAULT_AT
    own = read_zone(reader, values["timezone"]) if "timezone" in values else None
    ahead = read_span(reader, values["ahead"], least=timedelta(days=1)) if "ahead" in values else AHEAD
    even_if_empty = reader.read_flag(values["even_if_empty"]) if "even_if_empty" in values else False
    if weekdays is None or at is None or ahead is None:
        return None
    return Digest(
        weekdays=weekdays,
        at=at,
        zone=own or default,
        ahead=timedelta(days=ahead.days),
        even_if_empty=bool(even_if_empty),
    )


def read_quiet(reader: Reader, node: Node, location: ZoneInfo) -> Quiet | None:
    """Read the quiet hours of a receiver, whose time zone is ``location``."""
    values = reader.read_mapping(node, QUIET)
    if values is None:
        return None
    exempt = (
        [reader.parse(item, parse_matcher) for item in reader.read_items(values["except"], "except")]
        if ("except" in values)
        else []
    )
    days = _read_weekdays(reader, values["days"]) if "days" in values else ()
    times: tuple[TimeRange, ...] = ()
    for key, other in (("from", "to"), ("to", "from")):
        if key in values and other not in values:
            reader.refuse(values[key], f"{key} without {other}; quiet hours need both")
    if "from" in values and "to" in values:
        times = _read_hours(reader, values["from"], values["to"])
    elif not ({"from", "to", "days"} & values.keys()):
        reader.refuse(node, 'quiet needs from and to, or days; write {from: "22:00", to: "07:00"}')
    if len(days) == len(DAY_NAMES):
        reader.refuse(values["days"], "all seven days: it would never be told; leave one out")
    intervals = [TimeInterval(times=times, location=location)] if times else []
    if days:
        # In an interval, Sunday is day 0, as in Alertmanager.
        ranges = tuple(Range(first=(day + 1) % 7, last=(day + 1) % 7) for day in days)
        intervals.append(TimeInterval(weekdays=ranges, location=location))
    if not intervals:
        return None
    hours = NamedInterval(name=f"{_format_hours(times, days)} ({location.key})", intervals=tuple(intervals))
    return Quiet(hours=hours, exempt=tuple(matcher for matcher in exempt if matcher is not None))


def _read_every(reader: Reader, node: Node) -> tuple[int, ...] | None:
    if isinstance(node, Scalar):
        return reader.look_up(node, _EVERY, "day")
    return _read_weekdays(reader, node) or None


def _read_weekdays(reader: Reader, node: Node) -> tuple[int, ...]:
    read: list[int] = []
    items = reader.read_items(node, "weekdays", 100)
    for item in items:
        day = reader.look_up(item, _WEEKDAYS, "weekday")
        if day in read:
            reader.refuse(item, f"{quote(DAY_NAMES[day])}: this day is in the list twice; remove one")
        elif day is not None:
            read.append(day)
    if not items and isinstance(node, Sequence):
        reader.refuse(node, "no weekday at all; write at least one, such as [monday]")
    return tuple(sorted(read))


def _read_hours(reader: Reader, start: Node, end: Node) -> tuple[TimeRange, ...]:
    """Return ranges of minutes of the day. Hours that cross midnight give two ranges."""
    first, last = read_clock(reader, start), read_clock(reader, end)
    if first is None or last is None:
        return ()
    begin, until = (moment.hour * 60 + moment.minute for moment in (first, last))
    if begin == until:
        reader.refuse(end, "from and to are the same: it would never be told; write another time")
        return ()
    if begin < until:
        return (TimeRange(start=begin, end=until),)
    after = TimeRange(start=0, end=until)
    return (TimeRange(start=begin, end=_DAY_MINUTES), *((after,) if until else ()))


def _format_hours(times: tuple[TimeRange, ...], days: tuple[int, ...]) -> str:
    """Return a text such as ``22:00 to 07:00 and all Saturday and Sunday``."""
    hours = f"{_format_clock(times[0].start)} to {_format_clock(times[-1].end)}" if times else ""
    names = [DAY_NAMES[day].capitalize() for day in days]
    whole = " and ".join(filter(None, (", ".join(names[:-1]), names[-1] if names else "")))
    return " and ".join(filter(None, (hours, whole and f"all {whole}")))


def _format_clock(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def read_root_route(
    reader: Reader,
    node: Node,
    receivers: Mapping[str, Receiver],
    intervals: Mapping[str, NamedInterval],
    default: ZoneInfo,
) -> Route:
    """Read the root route. It matches everything at all times, so it has no matchers and no time intervals.

    Args:
        default: the time zone of digests whose receiver names none.
    """
    values = reader.read_mapping(node, ROOT_ROUTE) or {}
    root = _Routes(reader, receivers, intervals, default).read_route(values, "route", "")
    return replace(root, quiet=collect_quiet_hours(receivers))


def collect_quiet_hours(receivers: Mapping[str, Receiver]) -> dict[str, Quiet]:
    """Return the quiet hours by receiver, without receivers that have none."""
    return {receiver.name: receiver.quiet for receiver in receivers.values() if receiver.quiet is not None}


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

    def read_route(self, values: Mapping[str, Node], path: str, parent: str) -> Route:
        """Read a route and the routes below it.

        Args:
            path: the route's place in the file, such as ``route.routes[0]``.
            parent: the name of the receiver that the route inherits.
        """
        reader = self._reader
        receiver = None
        if "receiver" in values:
            names = {name: name for name in self._receivers}
            receiver = reader.look_up(values["receiver"], names, "receiver")
        matchers = [reader.parse(item, parse_matcher) for item in self._read_items(values, "matchers")]
        continues = reader.read_flag(values["continue"]) if "continue" in values else None
        routes = [
            replace(
                self.read_route(
                    reader.read_mapping(item, ROUTE) or {}, f"{path}.routes[{index}]", receiver or parent
                ),
                line=item.line,
                column=item.column,
            )
            for index, item in enumerate(self._read_items(values, "routes"))
        ]
        return Route(
            receiver=receiver or "",
            matchers=tuple(matcher for matcher in matchers if matcher is not None),
            group_by=self._read_group_by(values["group_by"]) if "group_by" in values else None,
            continue_=bool(continues),
            mute=self._read_intervals(values, "mute_time_intervals"),
            active=self._read_intervals(values, "active_time_intervals"),
            digest=self._read_digest(values, receiver or parent),
            routes=tuple(routes),
            path=path,
        )

    def _read_digest(self, values: Mapping[str, Node], receiver: str) -> Digest | None:
        if "digest" not in values:
            return None
        for key in ("mute_time_intervals", "active_time_intervals"):
            if key in values:
                advice = "the digest says when it sends; remove one of the two"
                self._reader.refuse(values[key], f"{key} beside digest; {advice}")
        known = self._receivers.get(receiver)
        return read_digest(self._reader, values["digest"], (known and known.zone) or self._default)

    def _read_items(self, values: Mapping[str, Node], key: str) -> list[Node]:
        return self._reader.read_items(values[key], key) if key in values else []

    def _read_intervals(self, values: Mapping[str, Node], key: str) -> tuple[NamedInterval, ...]:
        found = [
            self._reader.look_up(item, self._intervals, "time interval")
            for item in self._read_items(values, key)
        ]
        return tuple(interval for interval in found if interval is not None)

    def _read_group_by(self, node: Node) -> tuple[str, ...]:
        names: list[str] = []
        for item in self._reader.read_items(node, "the labels of group_by", 100):
            name = self._reader.read_text(item, NAME)
            if name is None:
                continue
            if name != BY_ALL_LABELS and not LABEL_NAME.fullmatch(name):
                advice = "it has letters, digits and underscores, or is ... alone"
                self._reader.refuse(item, f"{quote(name)}: not a label's name; {advice}")
            elif name in names:
                self._reader.refuse(item, f"{quote(name)}: this label is in group_by twice; remove one")
            else:
                names.append(name)
        if BY_ALL_LABELS in names and len(names) > 1:
            self._reader.refuse(node, f"{BY_ALL_LABELS!r}: it stands for every label; write it alone")
        return tuple(names)
