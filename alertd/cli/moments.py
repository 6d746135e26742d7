"""Dates and times as people type them on the command line. What cannot be read is wrong usage: exit 2."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from alertd.core.time import moments
from alertd.errors import MomentError


def read_zone(name: str, option: str) -> ZoneInfo:
    """A zone by its IANA name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"{name!r} is no zone; write one such as Asia/Baghdad", param_hint=option
        ) from None


def read_moment(
    text: str, option: str, *, zone: ZoneInfo, now: datetime, at: time = time.min, sign: int = 1
) -> datetime:
    """See :func:`alertd.core.time.moments.read_moment`."""
    try:
        return moments.read_moment(text, zone=zone, now=now, at=at, sign=sign)
    except MomentError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
