"""Where the demo is shown: lines and frames as things happen; below them, on a terminal, the running date."""

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
from alertd.demo.show import COLOURS, channel_of, in_full
from alertd.demo.story import Beat

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


def day(at: datetime) -> str:
    """`` 8 Sep 2024``, as Baghdad's calendar has it: always as wide."""
    local = at.astimezone(ZONE)
    return f"{local.day:>2} {local:%b %Y}"


class Screen:
    """Writes to ``out``; escape sequences only when that is a terminal."""

    def __init__(self, out: TextIO) -> None:
        self.console = Console(file=out, highlight=False, emoji=False, markup=False)
        self.console.width = min(self.console.width, MAX_WIDTH)
        self._progress: Progress | None = None
        self._bar = TaskID(0)
        self._messages = 0

    @property
    def is_wide(self) -> bool:
        return self.console.width >= WIDE

    @contextmanager
    def running(self) -> Iterator[None]:
        """The bar is shown while the block runs, and leaves nothing behind."""
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

    def passing(self, at: datetime, fraction: float) -> None:
        """The date that is just passing."""
        if self._progress is not None:
            words = f"{self._messages} messages"
            self._progress.update(self._bar, completed=STEPS * fraction, date=day(at), messages=words)

    def write(self, *parts: RenderableType) -> None:
        for part in parts:
            self.console.print(part)

    def beat(self, beat: Beat, lines: list[str]) -> None:
        """What happens from outside, and what it changed in a file."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column()
        grid.add_row(Text(day(beat.at), style="bold"), Text(beat.says, style="bold cyan"))
        for line in lines:
            style = "green" if line.startswith("+") else "red"
            grid.add_row("", Text(line, style=style))
        self.write("", grid, "")

    def occasion(self, occasion: ReminderOccasion) -> None:
        """One line: when, what, and by which channels it came."""
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
            Text(day(occasion.at), style="dim"),
            Text("●", style=style),
            Text(occasion.short, style="dim"),
            Text(subject, style="" if occasion.cause in QUIET else "bold"),
            self._channels(occasion.receipts),
        )
        self.write(grid)

    def in_full(self, receipt: Receipt) -> None:
        self.write(in_full(receipt), "")

    def remark(self, text: str, style: str) -> None:
        """A line below an occasion."""
        self.write(Padding(Text(text, style=style), (0, 0, 0, 14)))

    def _channels(self, receipts: list[Receipt]) -> Text:
        shown = Text()
        names = {channel_of(receipt): receipt.accepted for receipt in receipts}
        for channel, colour in COLOURS.items():
            word = channel if self.is_wide else channel[0].upper()
            if channel in names:
                shown.append(word, style=colour if names[channel] else f"{colour} strike")
            else:
                shown.append(" " * len(word))
            shown.append(" ")
        return shown
