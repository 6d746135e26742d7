"""Options that several commands share, and nothing else: one wording a thing."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class OutputFormat(StrEnum):
    """How a listing is written."""

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
    typer.Option("--format", help="text for people, json for one value, jsonl for one value a line."),
]

ByOption = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Who says so.  [default: $SUDO_USER or $USER]", show_default=False
    ),
]

WhyOption = Annotated[
    str, typer.Option("--why", metavar="TEXT", help="Why; it stays in the history.", show_default=False)
]

MilestoneArgument = Annotated[
    str,
    typer.Argument(
        metavar="MILESTONE",
        help="Full id, timeline/id; the part after the slash will do while only one milestone has it.",
        show_default=False,
    ),
]
