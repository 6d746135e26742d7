"""Renders a message as plain text, and holds the phrases that every rendering shares.

Takes messages that went through :func:`alertd.notify.render.clean.fit`. The order is the same everywhere: how
far
away, what, by when as it was given, on whose word, what stands against it, how late this is, who says what.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from alertd.core.message.message import Account, ClaimLine, Item, Kind, Message
from alertd.core.milestones.occurrence import Cause
from alertd.notify.render.clean import cut

WIDTH = 72
"""Columns. What quotes it (``> ``) twice still fits into 80."""

MAX_ITEMS = 50
"""The most milestones that one text lists."""

FEW_ITEMS = 3
"""So many are read at a glance; more get an overview on top."""

BADGE_WIDTH = 16


def render_text(message: Message, width: int = WIDTH) -> str:
    """The whole message, ending in a line break; no line is longer than ``width`` but for a URL."""
    blocks = [wrapped(message.intro, width), *_blocks(message, width), _footer(message, width)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def account_text(account: Account) -> str:
    """``Sabit al-Abassi, Iraqi Minister of Defence (Al-Hadath, 8 September 2024)``."""
    publisher = "" if account.publisher == account.who else account.publisher
    origin = ", ".join(part for part in (publisher, account.published) if part)
    return f"{account.who} ({origin})" if origin else account.who


def claim_text(claim: ClaimLine) -> str:
    """``by September 2026 – passed 55 days ago``."""
    return f"{claim.phrase} – {claim.status}" if claim.status else claim.phrase


def remarks(claim: ClaimLine) -> tuple[str, ...]:
    """What is to be added to a claim: how it was computed, and its note."""
    derived = f"computed: {claim.derived}" if claim.derived else ""
    return tuple(part for part in (derived, claim.note) if part)


def tags(item: Item) -> tuple[str, ...]:
    """The warnings that belong beside the badge, in one word each."""
    named = {"contested": item.contested, "tentative": item.tentative, "sent late": bool(item.late)}
    return tuple(name for name, holds in named.items() if holds)


def story(item: Item) -> tuple[str, ...]:
    """The sentences below the headline, the one about this reminder's own lateness last.

    Without the sentence on what contradicts what: a list of all claims stands beneath, and says it better.
    """
    return (*item.details, item.late) if item.late else item.details


def brief_story(item: Item) -> tuple[str, ...]:
    """The same for one of many: what moved or came about, and how late this is."""
    told = item.details[:3] if item.cause in (Cause.MOVED, Cause.DONE) else ()
    told = tuple(one for one in told if not one.startswith("Tentative: "))
    return (*told, item.late) if item.late else told


def stopped(sentence: str) -> str:
    """With a full stop, unless it ends in a mark of its own."""
    return sentence if not sentence or sentence[-1] in ".!?…" else sentence + "."


def shown(items: Sequence[Item], limit: int = MAX_ITEMS) -> tuple[Sequence[Item], str]:
    """The first ``limit`` items, which are the most urgent, and what to say of the rest."""
    rest = len(items) - limit
    return items[:limit], f"and {rest:,} more, not listed here" if rest > 0 else ""


def sections(items: Iterable[Item]) -> list[tuple[str, list[Item]]]:
    """The items by the heading that they stand under, in their order; it is "" outside of a digest."""
    return [(heading, list(group)) for heading, group in groupby(items, key=lambda item: item.section)]


def common_timeline(items: Iterable[Item]) -> str:
    """The title of the timeline that all items belong to; "" when there are several."""
    titles = {item.timeline: item.timeline_title for item in items}
    return next(iter(titles.values())) if len(titles) == 1 else ""


def explain_hint(message: Message) -> str:
    """Why the receiver of a message about many gets it."""
    return f"Sent to {message.receiver}. To see why, for each: alertd explain MILESTONE"


def wrapped(text: str, width: int, indent: str = "") -> str:
    """``text`` broken between words, each line after ``indent``."""
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _blocks(message: Message, width: int) -> list[str]:
    match message.kind:
        case Kind.SINGLE:
            return _single(message.items[0], width)
        case Kind.MANY | Kind.DIGEST:
            return _many(message, width)
        case Kind.NOTICE | Kind.TEST:
            return [wrapped(line, width) for line in (message.subject, *message.lines)]


def _single(item: Item, width: int) -> list[str]:
    above = " · ".join([item.badge, *tags(item)]).upper()
    names = [item.title] if item.title == item.timeline_title else [item.title, item.timeline_title]
    return [
        above,
        "\n".join(wrapped(name, width) for name in names if name),
        wrapped(item.phrase, width, "    "),
        wrapped(stopped(item.headline), width),
        "\n".join(wrapped(sentence, width) for sentence in story(item)),
        wrapped(item.description, width),
        item.url,
        _links(item),
        _claims(item.claims, width),
        "\n".join(wrapped(sentence, width) for sentence in (item.next, item.why) if sentence),
    ]


def _links(item: Item) -> str:
    """What can be done about it, and where to read more: a line each, so that no address is broken."""
    links = [(action.label, action.url) for action in item.actions if action.url]
    links += [("Details", item.page)] if item.page else []
    return "\n".join(f"{label}: {url}" for label, url in links)


def _claims(claims: Sequence[ClaimLine], width: int) -> str:
    if not claims:
        return ""
    return "\n\n".join(["WHO SAYS WHAT", *(_claim(claim, width) for claim in claims)])


def _claim(claim: ClaimLine, width: int) -> str:
    mark = ("> " if claim.headline else "* ") if claim.live else "- "
    lines = [mark + wrapped(claim_text(claim), width - 2, "  ").lstrip()]
    for account in claim.accounts:
        lines.append(wrapped(account_text(account), width, "  "))
        if account.url:
            lines.append(f"  {account.url}")
    lines += [wrapped(remark, width, "  ") for remark in remarks(claim)]
    return "\n".join(lines)


def _many(message: Message, width: int) -> list[str]:
    items, rest = shown(message.items)
    common = common_timeline(items)
    blocks = [wrapped(message.subject, width) + (f"\n{common}" if common else "")]
    blocks += [wrapped(line, width) for line in message.lines]
    if len(items) > FEW_ITEMS:
        blocks.append(_overview(items, width))
    for heading, group in sections(items):
        blocks += [_rule(heading, width)] if heading else []
        blocks += [_one_of_many(item, width, with_timeline=not common) for item in group]
    return [*blocks, rest, wrapped(explain_hint(message), width)]


def _rule(heading: str, width: int) -> str:
    start = f"── {heading.upper()} "
    return start + "─" * max(0, min(40, width) - len(start))


def _overview(items: Sequence[Item], width: int) -> str:
    """A line each, under the headings: what there is at all, before anything is told at length."""
    blocks = []
    for heading, group in sections(items):
        lines = [heading.upper()] if heading else []
        lines += [cut(f"{item.badge.ljust(BADGE_WIDTH - 1)} {item.title}", width) for item in group]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _one_of_many(item: Item, width: int, *, with_timeline: bool) -> str:
    indent = " " * BADGE_WIDTH
    lines = wrapped(item.title, width, indent).splitlines()
    badge = item.badge.upper()
    if len(badge) < BADGE_WIDTH - 1:
        lines[0] = badge.ljust(BADGE_WIDTH) + lines[0].lstrip()
    else:
        lines.insert(0, badge)
    if with_timeline and item.timeline_title != item.title:
        lines.append(wrapped(item.timeline_title, width, indent))
    lines.append(wrapped(" · ".join([item.phrase, *tags(item)]), width, indent))
    lines.append(wrapped(stopped(item.headline), width, indent))
    lines += [wrapped(sentence, width, indent) for sentence in brief_story(item)]
    lines.append(indent + item.milestone)
    if item.page:
        lines.append(indent + item.page)
    return "\n".join(lines)


def _footer(message: Message, width: int) -> str:
    lines = ["─" * min(40, width)]
    if message.kind is Kind.SINGLE:
        item = message.items[0]
        lines.append(wrapped(f"{item.milestone} · revision {item.revision} · {item.zone}", width))
    if message.page:
        lines.append(f"All deadlines: {message.page}")
    lines.append(f"{message.id} · alertd")
    return "\n".join(lines)
