"""Read what both files have in common: ids, zones, links, labels, lengths of time."""

from __future__ import annotations

import re
from datetime import time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from alertd.core.time.duration import Duration, parse_duration
from alertd.definitions.reading.keys import (
    LABEL_NAME,
    LABEL_VALUE,
    MAX_LABELS,
    NAME,
    RESERVED_LABELS,
    SLUG,
    URL,
)
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, near, shown

_LINK = re.compile(r"https?://[^\s/?#][^\s]*")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_NOT_A_ZONE = frozenset(("localtime", "posixrules", "Factory"))


def slug(reader: Reader, node: Node) -> str | None:
    """An id: lower case letters, digits, dots, dashes and underscores."""
    value = reader.text(node, NAME)
    if value is None or SLUG.fullmatch(value):
        return value
    meant = re.sub(r"[^a-z0-9._-]+", "-", value.lower()).strip("-._")
    advice = f"write {meant}" if SLUG.fullmatch(meant) else "it begins with a letter or digit"
    reader.refuse(node, f"{shown(value)}: an id has only a-z, 0-9, dots, dashes and underscores; {advice}")
    return None


def zone(reader: Reader, node: Node) -> ZoneInfo | None:
    """A zone of the IANA database."""
    name = reader.text(node, NAME)
    if name is None:
        return None
    found = _zone(name)
    if found is None:
        last = {known.rpartition("/")[2].lower(): known for known in sorted(_zone_names())}
        city = last.get(name.rpartition("/")[2].lower().replace(" ", "_"))
        advice = (
            f"did you mean {city}?" if city else near(name, _zone_names()) or "write one such as Asia/Baghdad"
        )
        reader.refuse(node, f"{shown(name)}: no such time zone; {advice}")
    return found


def link(reader: Reader, node: Node) -> str | None:
    """An address of the web."""
    value = reader.text(node, URL)
    if value is None or _LINK.fullmatch(value):
        return value
    advice = "write it in full, as in https://example.org/page"
    reader.refuse(node, f"{shown(value)}: not an http or https address; {advice}")
    return None


def labels(reader: Reader, node: Node) -> dict[str, str]:
    """Labels that routes can match."""
    read: dict[str, str] = {}
    for key, value in reader.named(node, "labels", MAX_LABELS):
        name = key.text
        if not LABEL_NAME.fullmatch(name) or len(name) > NAME:
            meant = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:NAME]
            advice = f"write {meant}" if LABEL_NAME.fullmatch(meant) else "it begins with a letter"
            reader.refuse(
                key, f"{shown(name)}: a label's name has only letters, digits and underscores; {advice}"
            )
        elif name in RESERVED_LABELS:
            reader.refuse(
                key,
                f"{name!r}: alertd sets this label itself; choose another name",
            )
        elif (text := reader.text(value, LABEL_VALUE)) is not None:
            read[name] = text
    return read


def clock(reader: Reader, node: Node) -> time | None:
    """A time of day, ``09:00``."""
    text = reader.text(node, NAME)
    if text is None:
        return None
    match = _CLOCK.fullmatch(text)
    if match is None:
        meant = f"0{text}" if _CLOCK.fullmatch(f"0{text}") else "09:00"
        reader.refuse(node, f'{shown(text)}: not a time of day; write "{meant}"')
        return None
    return time(int(match[1]), int(match[2]))


def span(reader: Reader, node: Node, *, least: timedelta = timedelta(0)) -> timedelta | None:
    """A length of time that does not depend on a calendar: a day is 24 hours here, a month is refused."""
    duration = reader.parsed(node, parse_duration)
    if duration is None or not isinstance(node, Scalar):
        return None
    if duration.months:
        reader.refuse(
            node, f"{shown(node.text)}: months and years have no fixed length; write days, such as 35d"
        )
        return None
    value = timedelta(days=duration.days, seconds=duration.seconds)
    if value < least:
        reader.refuse(node, f"{shown(node.text)}: too short; at least {_span_text(least)}")
        return None
    return value


def lead(reader: Reader, node: Node, *, least_s: int = 1) -> Duration | None:
    """A length of time before or after a deadline; more than nothing."""
    duration = reader.parsed(node, parse_duration)
    if duration is None or not isinstance(node, Scalar):
        return None
    if min(duration.months, duration.days, duration.seconds) < 0:
        reader.refuse(node, f"{shown(node.text)}: a sign; the key says before or after, so write {-duration}")
        return None
    if not (duration.months or duration.days) and duration.seconds < least_s:
        reader.refuse(
            node, f"{shown(node.text)}: too short; at least {_span_text(timedelta(seconds=least_s))}"
        )
        return None
    return duration


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    if name in _NOT_A_ZONE or name.startswith(("posix/", "right/")):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _span_text(span: timedelta) -> str:
    return str(Duration(days=span.days, seconds=span.seconds))
