"""Renders the end of the demo: a table of the messages, the measured costs and the audit's result."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from alertd.demo.audit import DemoAudit
from alertd.demo.costs import summarize
from alertd.demo.occasion import ReminderOccasion
from alertd.demo.play import Played
from alertd.demo.screen import CAUSE_STYLES, format_day
from alertd.demo.show import COLOURS, find_channel
from alertd.demo.story import BEGINS, ENDS


def render_deliveries(played: Played) -> RenderableType:
    """Render a table with a row for each reminder: date, milestone, cause, offset and channels."""
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
            format_day(occasion.at),
            Text(occasion.short, style="dim" if repeats else ""),
            Text(occasion.cause.value, style=CAUSE_STYLES[occasion.cause]),
            occasion.offset if occasion.offset != occasion.cause.value else "",
            *(_mark(occasion, channel) for channel in COLOURS),
        )
    heading = Text.assemble(("What was sent", "bold"), ("   ● accepted   ○ turned away", "dim"))
    return Group(heading, table)


def render_result(played: Played, found: DemoAudit, where: str) -> RenderableType:
    """Render the run's figures and the result of the audit.

    Args:
        where: lines that name the files of the demo.
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, text in _result_rows(played, found, where):
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


def _result_rows(played: Played, found: DemoAudit, where: str) -> Iterator[tuple[str, Text]]:
    channels = ", ".join(f"{found.sent.get(channel, 0)} {channel}" for channel in COLOURS)
    yield "sent", Text(f"{found.total} messages: {channels}")
    days = (ENDS - BEGINS).days + 1
    first, last = format_day(BEGINS).strip(), format_day(ENDS).strip()
    yield "time", Text(f"{first} to {last}, {days} days in {played.took_s:.1f} s")
    whole, send = summarize(played.watch.lease_to_settle_ms), summarize(played.watch.send_ms)
    yield (
        "cost",
        Text(
            f"{whole['median']:.1f} ms a delivery from lease to settle, on disk (p95 {whole['p95']:.1f}), "
            f"of which {send['median']:.0f} ms to send (p95 {send['p95']:.0f})"
        ),
    )
    yield "tries", Text(_attempts_text(found))
    yield "lost", _count_text(found.lost, "ledger and receipts agree, id by id")
    yield "repeated", _count_text(found.repeated, "no id was accepted twice")
    yield "signatures", _share_text(found.sent.get("webhook", 0), found.forged, "verified")
    yield "mails", _share_text(found.sent.get("email", 0), found.halved, "with text and HTML")
    if found.unsent:
        lines = [f"{number:>2} {reason}" for reason, number in found.unsent.items()]
        yield "withheld", Text("\n".join(lines))
    yield "files", Text(where)
    if found.errors:
        yield "errors", Text(found.errors.strip(), style="red")


def _attempts_text(found: DemoAudit) -> str:
    once = found.total - len(found.retried)
    again = [f"{name} at attempt {number}, under the same id" for name, number in found.retried.items()]
    return "; ".join([f"{once} accepted at once", *again])


def _count_text(ids: tuple[str, ...], well: str) -> Text:
    if not ids:
        return Text.assemble(("0", "bold green"), f"  {well}")
    return Text(f"{len(ids)}  {', '.join(ids)}", style="bold red")


def _share_text(number: int, wrong: tuple[str, ...], how: str) -> Text:
    if not wrong:
        return Text.assemble((f"{number} of {number}", "bold green"), f" {how}")
    return Text(f"{number - len(wrong)} of {number} {how}; not {', '.join(wrong)}", style="bold red")


def _mark(occasion: ReminderOccasion, channel: str) -> str:
    """Return ● if the channel accepted the message, ○ if it turned it away, and "" if it got none."""
    for receipt in occasion.receipts:
        if find_channel(receipt) == channel:
            return "●" if receipt.accepted else "○"
    return ""
