"""Read the kinds of values that both files contain: ids, zones, links, labels, times and durations."""

from __future__ import annotations

import re
from datetime import time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from alertd.core.routing.labels import BY_NAME as ADDED_LABELS
from alertd.core.routing.labels import LABEL_NAME
from alertd.core.time.duration import Duration, parse_duration
from alertd.definitions.reading.keys import (
    LABEL_VALUE,
    MAX_LABELS,
    NAME,
    SLUG,
    URL,
)
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, quote

LINK_TEXT = re.compile(r"https?://[^\s/?#][^\s]*")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_NOT_A_ZONE = frozenset(("localtime", "posixrules", "Factory"))


def read_slug(reader: Reader, node: Node) -> str | None:
    """Read an id of lower-case letters, digits, dots, dashes and underscores."""
    value = reader.read_text(node, NAME)
    if value is None or SLUG.fullmatch(value):
        return value
    meant = re.sub(r"[^a-z0-9._-]+", "-", value.lower()).strip("-._")
    advice = f"write {meant}" if SLUG.fullmatch(meant) else "it begins with a letter or digit"
    reader.refuse(node, f"{quote(value)}: an id has only a-z, 0-9, dots, dashes and underscores; {advice}")
    return None


def read_zone(reader: Reader, node: Node) -> ZoneInfo | None:
    """Read the name of a time zone in the IANA database."""
    name = reader.read_text(node, NAME)
    if name is None:
        return None
    found = load_zone(name)
    if found is None:
        last = {known.rpartition("/")[2].lower(): known for known in sorted(_list_zones())}
        city = last.get(name.rpartition("/")[2].lower().replace(" ", "_"))
        advice = (
            f"did you mean {city}?"
            if city
            else reader.suggest(name, _list_zones()) or "write one such as Asia/Baghdad"
        )
        reader.refuse(node, f"{quote(name)}: no such time zone; {advice}")
    return found


def read_link(reader: Reader, node: Node) -> str | None:
    """Read an http or https URL."""
    value = reader.read_text(node, URL)
    if value is None or LINK_TEXT.fullmatch(value):
        return value
    advice = "write it in full, as in https://example.org/page"
    reader.refuse(node, f"{quote(value)}: not an http or https address; {advice}")
    return None


def read_labels(reader: Reader, node: Node) -> dict[str, str]:
    """Read labels, which routes can match."""
    read: dict[str, str] = {}
    for key, value in reader.read_entries(node, "labels", MAX_LABELS):
        name = key.text
        if not LABEL_NAME.fullmatch(name) or len(name) > NAME:
            meant = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:NAME]
            advice = f"write {meant}" if LABEL_NAME.fullmatch(meant) else "it begins with a letter"
            reader.refuse(
                key, f"{quote(name)}: a label's name has only letters, digits and underscores; {advice}"
            )
        elif name in ADDED_LABELS:
            reader.refuse(
                key,
                f"{name!r}: alertd sets this label itself; {ADDED_LABELS[name].instead}",
            )
        elif (text := reader.read_text(value, LABEL_VALUE)) is not None:
            read[name] = text
    return read


def read_clock(reader: Reader, node: Node) -> time | None:
    """Read a time of day such as ``09:00``."""
    text = reader.read_text(node, NAME)
    if text is None:
        return None
    match = _CLOCK.fullmatch(text)
    if match is None:
        meant = f"0{text}" if _CLOCK.fullmatch(f"0{text}") else "09:00"
        reader.refuse(node, f'{quote(text)}: not a time of day; write "{meant}"')
        return None
    return time(int(match[1]), int(match[2]))


def read_span(reader: Reader, node: Node, *, least: timedelta = timedelta(0)) -> timedelta | None:
    """Read a duration of fixed length. A day is 24 hours; months and years are rejected.

    Args:
        least: the shortest duration that is allowed.
    """
    duration = reader.parse(node, parse_duration)
    if duration is None or not isinstance(node, Scalar):
        return None
    if duration.months:
        reader.refuse(
            node, f"{quote(node.text)}: months and years have no fixed length; write days, such as 35d"
        )
        return None
    value = timedelta(days=duration.days, seconds=duration.seconds)
    if value < least:
        reader.refuse(node, f"{quote(node.text)}: too short; at least {_format_span(least)}")
        return None
    return value


def read_lead(reader: Reader, node: Node, *, least_s: int = 1) -> Duration | None:
    """Read a positive duration before or after a deadline.

    Args:
        least_s: the shortest duration that is allowed, in seconds.
    """
    duration = reader.parse(node, parse_duration)
    if duration is None or not isinstance(node, Scalar):
        return None
    if min(duration.months, duration.days, duration.seconds) < 0:
        reader.refuse(node, f"{quote(node.text)}: a sign; the key says before or after, so write {-duration}")
        return None
    if not (duration.months or duration.days) and duration.seconds < least_s:
        reader.refuse(
            node, f"{quote(node.text)}: too short; at least {_format_span(timedelta(seconds=least_s))}"
        )
        return None
    return duration


def forget_zones() -> None:
    """Forget which zones exist and what their rules are."""
    load_zone.cache_clear()
    _list_zones.cache_clear()


@lru_cache(maxsize=1024)
def load_zone(name: str) -> ZoneInfo | None:
    if name in _NOT_A_ZONE or name.startswith(("posix/", "right/")):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=1)
def _list_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _format_span(span: timedelta) -> str:
    return str(Duration(days=span.days, seconds=span.seconds))
