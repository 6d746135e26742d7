"""Where output goes: the terminal for people, plain JSON for programs, one line on stderr for problems."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import typer

from alertd.cli.options import OutputFormat

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Facts = Mapping[str, object]
"""A value that JSON can hold, ready to be written."""


WIDEST = 120
"""Columns; what is wider is hard to read."""


def console() -> Console:
    """Stdout as rich sees it: as wide as the terminal up to WIDEST, 80 columns where there is none."""
    from rich.console import Console

    out = Console(highlight=False, emoji=False, markup=False)
    out.width = min(out.width, WIDEST)
    return out


def show(*parts: RenderableType) -> None:
    """Write for people."""
    out = console()
    with out.capture() as captured:
        for part in parts:
            out.print(part)
    # Cells are padded; whoever copies the text or pipes it on wants none of that.
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=True)


def say(text: str) -> None:
    """One paragraph for people, wrapped at words."""
    from rich.text import Text

    show(Text(text))


def write_rows(rows: Iterable[Facts], form: OutputFormat) -> None:
    """A list as JSON: one array, or one object a line."""
    if form is OutputFormat.JSONL:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
    else:
        write_value(list(rows))


def write_value(value: Facts | list[Facts]) -> None:
    """One value as indented JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def warn(text: str) -> None:
    """One line on stderr that stops nothing."""
    typer.echo(f"alertd: {text}", err=True)
