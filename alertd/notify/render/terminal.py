"""Renders a message for a terminal, with the library rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from alertd.core.message.message import ClaimLine, Item, Kind, Message
from alertd.notify.render.palette import Palette, choose_palette
from alertd.notify.render.text import (
    end_sentence,
    find_common_timeline,
    format_account,
    group_by_section,
    limit_items,
    list_brief_fields,
    list_brief_sentences,
    list_full_fields,
    list_remarks,
    list_sentences,
    list_warnings,
    make_explain_hint,
)

MAX_WIDTH = 88
MIN_WIDTH = 40


def render_terminal(message: Message, out: TextIO) -> str:
    """Return the message with escape sequences, as wide as ``out`` but at most ``MAX_WIDTH`` columns."""
    page = Console(
        file=out,
        width=max(MIN_WIDTH, min(MAX_WIDTH, Console(file=out).width)),
        highlight=False,
        emoji=False,
        markup=False,
    )
    with page.capture() as written:
        page.print(_panel(message))
    return written.get()


def _panel(message: Message) -> Panel:
    palette = choose_palette(message)
    body = Group(*_space_out(_body(message)))
    return Panel(
        body,
        box=box.ROUNDED,
        border_style=palette.terminal,
        title=_title(message, palette),
        title_align="left",
        subtitle=Text(f" {message.id} ", style="dim"),
        subtitle_align="right",
        padding=(1, 2),
    )


def _title(message: Message, palette: Palette) -> Text:
    if message.kind is Kind.SINGLE:
        item = message.items[0]
        title = Text().append(f" {item.badge} ", style=f"bold reverse {palette.terminal}")
        for tag in list_warnings(item):
            title.append(f" {tag} ", style=palette.terminal)
        return title
    words = {
        Kind.MANY: "reminders",
        Kind.DIGEST: "digest",
        Kind.NOTICE: "alertd notice",
        Kind.TEST: "alertd test",
    }
    return Text().append(f" {words[message.kind]} ", style=f"bold reverse {palette.terminal}")


def _body(message: Message) -> Iterable[RenderableType]:
    if message.intro:
        yield Text(message.intro, style="italic")
    match message.kind:
        case Kind.SINGLE:
            yield from _single(message.items[0])
        case Kind.MANY | Kind.DIGEST:
            yield from _many(message)
        case Kind.NOTICE | Kind.TEST:
            yield Text(message.subject, style="bold")
            yield from (Text(line) for line in message.lines)


def _single(item: Item) -> Iterable[RenderableType]:
    title = Text(item.title, style="bold")
    if item.timeline_title and item.timeline_title != item.title:
        title.append(f"\n{item.timeline_title}", style="not bold dim")
    yield title
    yield Text(item.phrase, style=f"bold {choose_palette(item).terminal}")
    yield Text("\n".join((end_sentence(item.headline), *list_sentences(item))))
    if fields := list_full_fields(item):
        yield Text("\n".join(shown.text for shown in fields), style="dim")
    if item.claims:
        yield _claims(item)
    ahead = "\n".join(part for part in (item.next, item.why) if part)
    yield Text(f"{ahead}\n{item.milestone} · revision {item.revision} · {item.zone}".lstrip(), style="dim")


def _claims(item: Item) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False, expand=True)
    table.add_column(width=1)
    table.add_column(ratio=1)
    for number, claim in enumerate(item.claims):
        if number:
            table.add_row("", "")
        table.add_row(Text(_mark(claim), style=choose_palette(item).terminal), _claim(claim))
    return table


def _mark(claim: ClaimLine) -> str:
    if not claim.live:
        return "×"
    return "▸" if claim.headline else "•"


def _claim(claim: ClaimLine) -> Text:
    style = "bold" if claim.headline else ("" if claim.live else "dim")
    text = Text(claim.phrase, style=style)
    if claim.status:
        text.append(f" – {claim.status}", style="not bold")
    for account in claim.accounts:
        text.append(f"\n{format_account(account)}", style="not bold")
        if account.url:
            text.append(f"\n{account.url}", style="not bold dim")
    for remark in list_remarks(claim):
        text.append(f"\n{remark}", style="not bold italic dim")
    return text


def _many(message: Message) -> Iterable[RenderableType]:
    items, rest = limit_items(message.items)
    common = find_common_timeline(items)
    title = Text(message.subject, style="bold")
    if common:
        title.append(f"\n{common}", style="not bold dim")
    yield title
    yield from (Text(line) for line in message.lines)
    badge_width = min(16, max((len(item.badge) for item in items), default=0))
    for heading, group in group_by_section(items):
        if heading:
            yield Text(heading, style="bold underline")
        yield _list_items(group, badge_width, with_timeline=not common)
    if rest:
        yield Text(rest, style="italic")
    yield Text(make_explain_hint(message), style="dim")


def _list_items(items: Sequence[Item], badge_width: int, *, with_timeline: bool) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    table.add_column(width=badge_width)
    table.add_column(ratio=1)
    for number, item in enumerate(items):
        if number:
            table.add_row("", "")
        badge = Text(item.badge, style=f"bold {choose_palette(item).terminal}")
        table.add_row(badge, _describe(item, with_timeline=with_timeline))
    return table


def _describe(item: Item, *, with_timeline: bool) -> Text:
    text = Text(item.title, style="bold")
    if with_timeline and item.timeline_title != item.title:
        text.append(f"\n{item.timeline_title}", style="not bold dim")
    phrase = " · ".join([item.phrase, *list_warnings(item)])
    text.append(f"\n{phrase}", style=f"not bold {choose_palette(item).terminal}")
    for sentence in (end_sentence(item.headline), *list_brief_sentences(item), *list_brief_fields(item)):
        text.append(f"\n{sentence}", style="not bold")
    return text.append(f"\n{item.milestone}", style="not bold dim")


def _space_out(parts: Iterable[RenderableType]) -> Iterable[RenderableType]:
    for number, part in enumerate(parts):
        yield Padding(part, (1 if number else 0, 0, 0, 0))
