"""Prints the demo: a line or a frame for each message and, on a terminal, a progress bar with the date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TextIO
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from alertd.core.milestones.occurrence import Cause
from alertd.demo.inbox import Receipt
from alertd.demo.occasion import ReminderOccasion
from alertd.demo.show import COLOURS, find_channel, render_in_full
from alertd.demo.story import Step

ZONE = ZoneInfo("Asia/Baghdad")
MAX_WIDTH = 120
WIDE = 100
STEPS = 10_000

QUIET = (Cause.OPENS, Cause.APPROACHING)

CAUSE_STYLES: Mapping[Cause, str] = {
    Cause.OPENS: "bright_blue",
    Cause.APPROACHING: "yellow",
    Cause.DUE: "bold yellow",
    Cause.OVERDUE: "bright_red",
    Cause.MOVED: "bright_magenta",
    Cause.DONE: "bright_green",
    Cause.ACKNOWLEDGED: "bright_blue",
    Cause.CANCELLED: "bright_blue",
}


def format_day(at: datetime) -> str:
    """Return the date of an aware instant in Baghdad, such as `` 8 Sep 2024``, always 11 characters wide."""
    local = at.astimezone(ZONE)
    return f"{local.day:>2} {local:%b %Y}"


class Screen:
    """Prints to ``out``, with escape sequences only if ``out`` is a terminal."""

    def __init__(self, out: TextIO) -> None:
        self.console = Console(file=out, highlight=False, emoji=False, markup=False)
        self.console.width = min(self.console.width, MAX_WIDTH)
        self._progress: Progress | None = None
        self._bar = TaskID(0)
        self._messages = 0

    @property
    def is_wide(self) -> bool:
        """Whether lines have room for the channels' full names."""
        return self.console.width >= WIDE

    @contextmanager
    def show_progress(self) -> Iterator[None]:
        """Show the progress bar while the block runs, and remove it afterwards."""
        if not self.console.is_terminal:
            yield
            return
        self._progress = Progress(
            TextColumn("{task.fields[date]}", style="bold"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[messages]}", style="dim"),
            console=self.console,
            transient=True,
            expand=True,
        )
        with self._progress:
            self._bar = self._progress.add_task("", total=STEPS, date="", messages="")
            yield
        self._progress = None

    def show_date(self, at: datetime, fraction: float) -> None:
        """Update the progress bar.

        Args:
            at: the virtual instant whose date is shown.
            fraction: the progress from 0 to 1.
        """
        if self._progress is not None:
            words = f"{self._messages} messages"
            self._progress.update(self._bar, completed=STEPS * fraction, date=format_day(at), messages=words)

    def write(self, *parts: RenderableType) -> None:
        """Print the parts, each on its own lines."""
        for part in parts:
            self.console.print(part)

    def show_step(self, step: Step, lines: list[str]) -> None:
        """Show a step of the story and the lines that it changed in a file."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column()
        grid.add_row(Text(format_day(step.at), style="bold"), Text(step.text, style="bold cyan"))
        for line in lines:
            style = "green" if line.startswith("+") else "red"
            grid.add_row("", Text(line, style=style))
        self.write("", grid, "")

    def show_occasion(self, occasion: ReminderOccasion) -> None:
        """Show a reminder as a line with its date, its subject and the channels that delivered it."""
        accepted = [receipt for receipt in occasion.receipts if receipt.accepted]
        self._messages += len(accepted)
        subject = occasion.receipts[0].subject
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.add_column(width=11, no_wrap=True)
        grid.add_column(width=1)
        grid.add_column(width=7, no_wrap=True)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(width=20 if self.is_wide else 6, no_wrap=True)
        style = CAUSE_STYLES[occasion.cause]
        grid.add_row(
            Text(format_day(occasion.at), style="dim"),
            Text("●", style=style),
            Text(occasion.short, style="dim"),
            Text(subject, style="" if occasion.cause in QUIET else "bold"),
            self._channels(occasion.receipts),
        )
        self.write(grid)

    def show_in_full(self, receipt: Receipt) -> None:
        """Show the whole message in a frame."""
        self.write(render_in_full(receipt), "")

    def show_remark(self, text: str, style: str) -> None:
        """Show a line below the last reminder."""
        self.write(Padding(Text(text, style=style), (0, 0, 0, 14)))

    def _channels(self, receipts: list[Receipt]) -> Text:
        shown = Text()
        names = {find_channel(receipt): receipt.accepted for receipt in receipts}
        for channel, colour in COLOURS.items():
            word = channel if self.is_wide else channel[0].upper()
            if channel in names:
                shown.append(word, style=colour if names[channel] else f"{colour} strike")
            else:
                shown.append(" " * len(word))
            shown.append(" ")
        return shown
