"""Read work calendars. Their days off are listed in the file or are the public holidays of a country."""

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
from alertd.definitions.reading.reader import Reader, quote, suggest
from alertd.definitions.reading.terms import read_slug, read_zone
from alertd.errors import IntervalError

YEARS = range(2000, 2061)
"""The years whose public holidays are loaded."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BUILT_IN = WorkCalendar(name="weekend")


def read_calendars(reader: Reader, node: Node | None) -> Mapping[str, WorkCalendar]:
    """Return the calendars by name, including the built-in calendar ``weekend``."""
    read = {_BUILT_IN.name: _BUILT_IN}
    if node is None:
        return read
    for key, value in reader.read_entries(node, "calendars", MAX_ITEMS):
        if read_slug(reader, key):
            read[key.text] = _read_calendar(reader, value, key.text)
    return read


def _read_calendar(reader: Reader, node: Node, name: str) -> WorkCalendar:
    values = reader.read_mapping(node, CALENDAR) or {}
    weekend, holidays = _BUILT_IN.weekend, frozenset[date]()
    if "country" in values:
        of_country = _read_country(reader, values["country"], values.get("subdivision"))
        weekend, holidays = of_country or (weekend, holidays)
    elif "subdivision" in values:
        reader.refuse(values["subdivision"], "a subdivision without its country; add country")
    if "weekend" in values:
        weekend = _read_weekend(reader, values["weekend"])
    if "holidays" in values:
        days = (_read_day(reader, item) for item in reader.read_items(values["holidays"], "holidays", 5_000))
        holidays |= {day for day in days if day is not None}
    return WorkCalendar(name=name, weekend=weekend, holidays=holidays)


def _read_weekend(reader: Reader, node: Node) -> frozenset[int]:
    known = {day: number for number, day in enumerate(_DAYS)}
    numbers = (
        reader.look_up(item, known, "weekday") for item in reader.read_items(node, "the days of a weekend", 7)
    )
    weekend = frozenset(number for number in numbers if number is not None)
    if len(weekend) == len(_DAYS):
        reader.refuse(node, "a weekend of seven days; leave at least one to work on")
    return weekend


def _read_day(reader: Reader, node: Node) -> date | None:
    text = reader.read_text(node, NAME)
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    reader.refuse(node, f"{quote(text)}: not a day of the calendar; write one such as 2026-09-30")
    return None


def _read_country(
    reader: Reader, node: Node, subdivision_node: Node | None
) -> tuple[frozenset[int], frozenset[date]] | None:
    country = reader.read_text(node, NAME)
    if country is None:
        return None
    try:
        countries = _list_countries()
    except ImportError:
        advice = "pip install 'alertd[holidays]'"
        reader.refuse(node, f"{quote(country)}: holidays of a country need an extra; {advice}")
        return None
    if country not in countries:
        code = _find_code(country, countries)
        advice = (
            f"write {code}" if code else suggest(country, countries) or "write an ISO 3166 code such as IQ"
        )
        reader.refuse(node, f"{quote(country)}: no such country; {advice}")
        return None
    subdivision = None
    if subdivision_node is not None:
        known = {code: code for code in countries[country]}
        subdivision = reader.look_up(subdivision_node, known, f"subdivision of {country}")
        if subdivision is None:
            return None
    return _list_days_off(country, subdivision)


def _list_countries() -> dict[str, list[str]]:
    """Return the codes of the supported countries, each with the codes of its subdivisions."""
    import holidays

    return holidays.list_supported_countries(include_aliases=False)


def _find_code(name: str, countries: Mapping[str, list[str]]) -> str:
    """Return the code for a lower-case code or an English name of a country; "" if there is none."""
    if name.upper() in countries:
        return name.upper()
    from holidays.registry import COUNTRIES

    folded = name.lower().replace(" ", "_").replace("-", "_")
    codes = COUNTRIES.get(folded, ())
    return next((code for code in codes if code in countries), "")


@lru_cache(maxsize=32)
def _list_days_off(country: str, subdivision: str | None) -> tuple[frozenset[int], frozenset[date]]:
    import holidays

    found = holidays.country_holidays(country, subdiv=subdivision, years=YEARS)
    return frozenset(int(day) for day in found.weekend), frozenset(found)


def read_time_intervals(reader: Reader, node: Node, default: ZoneInfo) -> dict[str, NamedInterval]:
    """Return the time intervals by name.

    An interval with a problem is included, so that routes that refer to it get no further problem.

    Args:
        default: the time zone of intervals that name none.
    """
    read: dict[str, NamedInterval] = {}
    for item in reader.read_items(node, "time intervals"):
        values = reader.read_mapping(item, NAMED_INTERVAL) or {}
        name = reader.read_text(values["name"], NAME) if "name" in values else None
        intervals: tuple[TimeInterval, ...] = ()
        if "time_intervals" in values:
            items = reader.read_items(values["time_intervals"], "time_intervals")
            if not items:
                reader.refuse(values["time_intervals"], "no interval at all; write at least one")
            intervals = tuple(_read_interval(reader, interval, default) for interval in items)
        if name is None:
            continue
        if name in read:
            reader.refuse(values["name"], f"{name!r}: a second time interval of this name; rename one")
        read[name] = NamedInterval(name=name, intervals=intervals)
    return read


def _read_interval(reader: Reader, node: Node, default: ZoneInfo) -> TimeInterval:
    values = reader.read_mapping(node, TIME_INTERVAL) or {}
    times = (
        [_read_time_range(reader, item) for item in reader.read_items(values["times"], "times", 100)]
        if "times" in values
        else []
    )
    location = read_zone(reader, values["location"]) if "location" in values else None

    def read_ranges(key: str, parse: Callable[[str], Range]) -> tuple[Range, ...]:
        if key not in values:
            return ()
        read = [reader.parse(item, parse, NAME) for item in reader.read_items(values[key], key, 100)]
        return tuple(value for value in read if value is not None)

    return TimeInterval(
        times=tuple(time_range for time_range in times if time_range is not None),
        weekdays=read_ranges("weekdays", parse_weekdays),
        days_of_month=read_ranges("days_of_month", parse_days_of_month),
        months=read_ranges("months", parse_months),
        years=read_ranges("years", parse_years),
        location=location or default,
    )


def _read_time_range(reader: Reader, node: Node) -> TimeRange | None:
    values = reader.read_mapping(node, TIME_RANGE)
    if values is None or "start_time" not in values or "end_time" not in values:
        return None
    start, end = (reader.read_text(values[key], NAME) for key in ("start_time", "end_time"))
    if start is None or end is None:
        return None
    try:
        return parse_time_range(start, end)
    except IntervalError as error:
        is_end = error.offset > len(start)
        reader.refuse(values["end_time" if is_end else "start_time"], str(error))
        return None
