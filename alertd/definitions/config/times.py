"""Read calendars: the days on which nobody works, written down or taken from a country."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

from alertd.core.milestones.policy import WorkCalendar
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
from alertd.definitions.config.keys import CALENDAR, NAMED_INTERVAL, TIME_INTERVAL, TIME_RANGE
from alertd.definitions.reading.keys import MAX_ITEMS, NAME
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader, near, shown
from alertd.definitions.reading.terms import slug, zone
from alertd.errors import IntervalError

YEARS = range(2000, 2061)
"""For which a country's holidays are taken."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BUILT_IN = WorkCalendar(name="weekend")


def calendars(reader: Reader, node: Node | None) -> Mapping[str, WorkCalendar]:
    """All calendars by name; ``weekend`` is always there."""
    read = {_BUILT_IN.name: _BUILT_IN}
    if node is None:
        return read
    for key, value in reader.named(node, "calendars", MAX_ITEMS):
        if slug(reader, key):
            read[key.text] = _calendar(reader, value, key.text)
    return read


def _calendar(reader: Reader, node: Node, name: str) -> WorkCalendar:
    values = reader.mapping(node, CALENDAR) or {}
    weekend, holidays = _BUILT_IN.weekend, frozenset[date]()
    if "country" in values:
        of_country = _of_country(reader, values["country"], values.get("subdivision"))
        weekend, holidays = of_country or (weekend, holidays)
    elif "subdivision" in values:
        reader.refuse(values["subdivision"], "a subdivision without its country; add country")
    if "weekend" in values:
        weekend = _weekend(reader, values["weekend"])
    if "holidays" in values:
        days = (_day(reader, item) for item in reader.items(values["holidays"], "holidays", 5_000))
        holidays |= {day for day in days if day is not None}
    return WorkCalendar(name=name, weekend=weekend, holidays=holidays)


def _weekend(reader: Reader, node: Node) -> frozenset[int]:
    known = {day: number for number, day in enumerate(_DAYS)}
    numbers = (
        reader.one_of(item, known, "weekday") for item in reader.items(node, "the days of a weekend", 7)
    )
    weekend = frozenset(number for number in numbers if number is not None)
    if len(weekend) == len(_DAYS):
        reader.refuse(node, "a weekend of seven days; leave at least one to work on")
    return weekend


def _day(reader: Reader, node: Node) -> date | None:
    text = reader.text(node, NAME)
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    reader.refuse(node, f"{shown(text)}: not a day of the calendar; write one such as 2026-09-30")
    return None


def _of_country(
    reader: Reader, node: Node, subdivision_node: Node | None
) -> tuple[frozenset[int], frozenset[date]] | None:
    country = reader.text(node, NAME)
    if country is None:
        return None
    try:
        countries = _countries()
    except ImportError:
        advice = "pip install 'alertd[holidays]'"
        reader.refuse(node, f"{shown(country)}: holidays of a country need an extra; {advice}")
        return None
    if country not in countries:
        code = _code_of(country, countries)
        advice = f"write {code}" if code else near(country, countries) or "write an ISO 3166 code such as IQ"
        reader.refuse(node, f"{shown(country)}: no such country; {advice}")
        return None
    subdivision = None
    if subdivision_node is not None:
        known = {one: one for one in countries[country]}
        subdivision = reader.one_of(subdivision_node, known, f"subdivision of {country}")
        if subdivision is None:
            return None
    return _days_of(country, subdivision)


def _countries() -> dict[str, list[str]]:
    """Codes of countries and, for each, of its subdivisions."""
    import holidays

    return holidays.list_supported_countries(include_aliases=False)


def _code_of(name: str, countries: Mapping[str, list[str]]) -> str:
    """The code of a country given in lower case or by its English name."""
    if name.upper() in countries:
        return name.upper()
    from holidays.registry import COUNTRIES

    folded = name.lower().replace(" ", "_").replace("-", "_")
    codes = COUNTRIES.get(folded, ())
    return next((code for code in codes if code in countries), "")


@lru_cache(maxsize=32)
def _days_of(country: str, subdivision: str | None) -> tuple[frozenset[int], frozenset[date]]:
    import holidays

    found = holidays.country_holidays(country, subdiv=subdivision, years=YEARS)
    return frozenset(int(day) for day in found.weekend), frozenset(found)


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
