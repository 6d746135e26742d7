"""Declares the options that several commands share, and reads the dates and zones that users type."""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer


class OutputFormat(StrEnum):
    """The output format of a listing."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="DIR",
        envvar="ALERTD_CONFIG",
        help="The folder with alertd.yaml and milestones/.  [default: /etc/alertd]",
        show_default=False,
    ),
]

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="ALERTD_DATABASE",
        help="The ledger: sqlite:///PATH or postgresql://...  [default: a file in the state folder]",
        show_default=False,
    ),
]

FormatOption = Annotated[
    OutputFormat,
    typer.Option("--format", help="text for people, json for one value, jsonl for one value per line."),
]

ByOption = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Your name.  [default: $SUDO_USER or $USER]", show_default=False
    ),
]

WhyOption = Annotated[
    str,
    typer.Option(
        "--why", metavar="TEXT", help="The reason, which is kept in the history.", show_default=False
    ),
]

MilestoneArgument = Annotated[
    str,
    typer.Argument(
        metavar="MILESTONE",
        help="The full id, timeline/id, or its part after the slash if only one milestone has that.",
        show_default=False,
    ),
]


def read_zone(name: str, option: str) -> ZoneInfo:
    """Return the time zone with the IANA name ``name``.

    Args:
        option: the option's name, such as ``--timezone``, for the error message.

    Raises:
        typer.BadParameter: no zone has that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(
            f"{name!r} is no zone; write one such as Asia/Baghdad", param_hint=option
        ) from None


def read_moment(
    text: str, option: str, *, zone: ZoneInfo, now: datetime, at: time = time.min, sign: int = 1
) -> datetime:
    """Read a date, time, instant or duration as :func:`alertd.core.time.moments.read_moment` does.

    Args:
        option: the option's name, such as ``--from``, for the error message.

    Raises:
        typer.BadParameter: the text cannot be read.
    """
    from alertd.core.time import moments
    from alertd.errors import MomentError

    try:
        return moments.read_moment(text, zone=zone, now=now, at=at, sign=sign)
    except MomentError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
