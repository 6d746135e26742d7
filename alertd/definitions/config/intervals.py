"""Read time intervals: the times at which routes are mute or active, under Alertmanager's keys."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from alertd.core.time.interval import (
    NamedInterval,
    Range,
    TimeInterval,
    TimeRange,
    parse_days_of_month,
    parse_months,
    parse_time_range,
    parse_weekdays,
    parse_years,
)
from alertd.definitions.config.keys import NAMED_INTERVAL, TIME_INTERVAL, TIME_RANGE
from alertd.definitions.reading.keys import NAME
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader
from alertd.definitions.reading.terms import zone
from alertd.errors import IntervalError


def time_intervals(reader: Reader, node: Node, default: ZoneInfo) -> dict[str, NamedInterval]:
    """All by name; one with a problem is there too, so that routes that name it are not blamed."""
    read: dict[str, NamedInterval] = {}
    for item in reader.items(node, "time intervals"):
        values = reader.mapping(item, NAMED_INTERVAL) or {}
        name = reader.text(values["name"], NAME) if "name" in values else None
        intervals: tuple[TimeInterval, ...] = ()
        if "time_intervals" in values:
            items = reader.items(values["time_intervals"], "time_intervals")
            if not items:
                reader.refuse(values["time_intervals"], "no interval at all; write at least one")
            intervals = tuple(_interval(reader, one, default) for one in items)
        if name is None:
            continue
        if name in read:
            reader.refuse(values["name"], f"{name!r}: a second time interval of this name; rename one")
        read[name] = NamedInterval(name=name, intervals=intervals)
    return read


def _interval(reader: Reader, node: Node, default: ZoneInfo) -> TimeInterval:
    values = reader.mapping(node, TIME_INTERVAL) or {}
    times = (
        [_time_range(reader, item) for item in reader.items(values["times"], "times", 100)]
        if "times" in values
        else []
    )
    location = zone(reader, values["location"]) if "location" in values else None

    def ranges(key: str, parse: Callable[[str], Range]) -> tuple[Range, ...]:
        if key not in values:
            return ()
        read = [reader.parsed(item, parse, NAME) for item in reader.items(values[key], key, 100)]
        return tuple(one for one in read if one is not None)

    return TimeInterval(
        times=tuple(one for one in times if one is not None),
        weekdays=ranges("weekdays", parse_weekdays),
        days_of_month=ranges("days_of_month", parse_days_of_month),
        months=ranges("months", parse_months),
        years=ranges("years", parse_years),
        location=location or default,
    )


def _time_range(reader: Reader, node: Node) -> TimeRange | None:
    values = reader.mapping(node, TIME_RANGE)
    if values is None or "start_time" not in values or "end_time" not in values:
        return None
    start, end = (reader.text(values[key], NAME) for key in ("start_time", "end_time"))
    if start is None or end is None:
        return None
    try:
        return parse_time_range(start, end)
    except IntervalError as error:
        is_end = error.offset > len(start)
        reader.refuse(values["end_time" if is_end else "start_time"], str(error))
        return None
