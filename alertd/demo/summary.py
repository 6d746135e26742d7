"""The end of the demo: what was sent when and where, what it cost, and whether the promise was kept."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from alertd.demo.audit import DemoAudit
from alertd.demo.costs import spread
from alertd.demo.occasion import ReminderOccasion
from alertd.demo.play import Played
from alertd.demo.screen import CAUSE_STYLES, day
from alertd.demo.show import COLOURS, channel_of
from alertd.demo.story import BEGINS, ENDS


def what_was_sent(played: Played) -> RenderableType:
    """One row for each reminder: when, what, why, by which channels."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("when", no_wrap=True)
    table.add_column("milestone", no_wrap=True)
    table.add_column("cause", no_wrap=True)
    table.add_column("offset", no_wrap=True, justify="right")
    for channel, colour in COLOURS.items():
        table.add_column(channel, no_wrap=True, justify="center", style=colour)
    for number, occasion in enumerate(played.occasions):
        before = played.occasions[number - 1] if number else None
        repeats = before is not None and before.short == occasion.short
        if before is not None and not repeats:
            table.add_section()
        table.add_row(
            day(occasion.at),
            Text(occasion.short, style="dim" if repeats else ""),
            Text(occasion.cause.value, style=CAUSE_STYLES[occasion.cause]),
            occasion.offset if occasion.offset != occasion.cause.value else "",
            *(_mark(occasion, channel) for channel in COLOURS),
        )
    heading = Text.assemble(("What was sent", "bold"), ("   ● accepted   ○ turned away", "dim"))
    return Group(heading, table)


def what_it_cost(played: Played, found: DemoAudit, where: str) -> RenderableType:
    """The numbers, and the promise checked."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, text in _rows(played, found, where):
        grid.add_row(name, text)
    verdict, style = (" promise kept ", "green") if found.is_kept else (" promise broken ", "red")
    return Panel(
        grid,
        box=box.ROUNDED,
        border_style=style,
        title=Text(verdict, style=f"bold reverse {style}"),
        title_align="left",
        padding=(1, 2),
    )


def _rows(played: Played, found: DemoAudit, where: str) -> Iterator[tuple[str, Text]]:
    channels = ", ".join(f"{found.sent.get(channel, 0)} {channel}" for channel in COLOURS)
    yield "sent", Text(f"{found.total} messages: {channels}")
    days = (ENDS - BEGINS).days + 1
    yield "time", Text(f"{day(BEGINS).strip()} to {day(ENDS).strip()}, {days} days in {played.took_s:.1f} s")
    whole, send = spread(played.watch.lease_to_settle_ms), spread(played.watch.send_ms)
    yield (
        "cost",
        Text(
            f"{whole['median']:.1f} ms a delivery from lease to settle, on disk (p95 {whole['p95']:.1f}), "
            f"of which {send['median']:.0f} ms to send (p95 {send['p95']:.0f})"
        ),
    )
    yield "tries", Text(_tries(found))
    yield "lost", _count(found.lost, "ledger and receipts agree, id by id")
    yield "repeated", _count(found.repeated, "no id was accepted twice")
    yield "signatures", _all(found.sent.get("webhook", 0), found.forged, "verified")
    yield "mails", _all(found.sent.get("email", 0), found.halved, "with text and HTML")
    if found.unsent:
        lines = [f"{number:>2} {reason}" for reason, number in found.unsent.items()]
        yield "withheld", Text("\n".join(lines))
    yield "files", Text(where)
    if found.errors:
        yield "errors", Text(found.errors.strip(), style="red")


def _tries(found: DemoAudit) -> str:
    once = found.total - len(found.retried)
    again = [f"{name} at attempt {number}, under the same id" for name, number in found.retried.items()]
    return "; ".join([f"{once} accepted at once", *again])


def _count(ids: tuple[str, ...], well: str) -> Text:
    if not ids:
        return Text.assemble(("0", "bold green"), f"  {well}")
    return Text(f"{len(ids)}  {', '.join(ids)}", style="bold red")


def _all(number: int, wrong: tuple[str, ...], how: str) -> Text:
    if not wrong:
        return Text.assemble((f"{number} of {number}", "bold green"), f" {how}")
    return Text(f"{number - len(wrong)} of {number} {how}; not {', '.join(wrong)}", style="bold red")


def _mark(occasion: ReminderOccasion, channel: str) -> str:
    """● accepted, ○ turned away, nothing when it was not for this channel."""
    for receipt in occasion.receipts:
        if channel_of(receipt) == channel:
            return "●" if receipt.accepted else "○"
    return ""
