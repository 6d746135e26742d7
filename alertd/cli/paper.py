"""Writes output: text for people, JSON for programs, and problems as single lines on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import typer

from alertd.cli.options import OutputFormat

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Facts = Mapping[str, object]
"""An object that can be written as JSON."""

WIDEST = 120
"""The most columns that output uses. Longer lines are hard to read."""

_LINES_AT_ONCE = 500
"""How many lines are written together, since each write takes longer than the line."""


def make_console() -> Console:
    """Return a rich console for stdout.

    The console is as wide as the terminal, but at most WIDEST. Without a terminal it has 80 columns.
    """
    from rich.console import Console

    out = Console(highlight=False, emoji=False, markup=False)
    out.width = min(out.width, WIDEST)
    return out


def show(*parts: RenderableType) -> None:
    """Print the parts for people."""
    out = make_console()
    with out.capture() as captured:
        for part in parts:
            out.print(part)
    # Rich pads table cells with spaces. Trailing spaces are a nuisance in copied or piped text.
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=True)


def say(text: str) -> None:
    """Print a paragraph for people, wrapped at words."""
    from rich.text import Text

    show(Text(text))


def write_rows(rows: Iterable[Facts], form: OutputFormat) -> None:
    """Print rows as JSON: as one array, or as one object per line for JSONL."""
    if form is OutputFormat.JSONL:
        waiting = iter(rows)
        while lines := [json.dumps(row, ensure_ascii=False) for row in islice(waiting, _LINES_AT_ONCE)]:
            typer.echo("\n".join(lines))
    else:
        write_value(list(rows))


def write_value(value: Facts | list[Facts]) -> None:
    """Print a value as indented JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def warn(text: str) -> None:
    """Print a warning as one line on stderr."""
    typer.echo(f"alertd: {text}", err=True)
