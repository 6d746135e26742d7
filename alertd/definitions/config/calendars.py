"""Read calendars: the days on which nobody works, written down or taken from a country."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from alertd.core.milestones.policy import WorkCalendar
from alertd.definitions.config.keys import CALENDAR
from alertd.definitions.reading.keys import MAX_ITEMS, NAME
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader, near, shown
from alertd.definitions.reading.terms import slug

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
