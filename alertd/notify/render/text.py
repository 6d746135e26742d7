"""Renders a message as plain text, and provides the phrases that every rendering shares.

The functions take messages that :func:`alertd.notify.render.clean.clean_message` has cleaned. The order of
the facts is the same in every rendering: the distance, the title, the deadline in its source's words, who
stated it, what contradicts it, how late the reminder is, and all claims.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from alertd.core.message.message import Account, ClaimLine, Item, Kind, Message
from alertd.core.milestones.fields import FieldReach, ShownField, select_shown_fields
from alertd.core.milestones.occurrence import Cause
from alertd.notify.render.clean import cut_text

WIDTH = 72
"""Columns. A mail reader can quote the text twice (``> ``) within 80 columns."""

MAX_ITEMS = 50
"""The most milestones that one text lists."""

FEW_ITEMS = 3
"""If a message has more milestones, an overview comes first."""

BADGE_WIDTH = 16


def render_text(message: Message, width: int = WIDTH) -> str:
    """Return the whole message, ending in a line break. No line is longer than ``width``, except for URLs."""
    blocks = [wrap(message.intro, width), *_blocks(message, width), _footer(message, width)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def format_account(account: Account) -> str:
    """Return an account such as ``Sabit al-Abassi, Minister of Defence (Al-Hadath, 8 September 2024)``."""
    publisher = "" if account.publisher == account.who else account.publisher
    origin = ", ".join(part for part in (publisher, account.published) if part)
    return f"{account.who} ({origin})" if origin else account.who


def format_claim(claim: ClaimLine) -> str:
    """Return a claim such as ``by September 2026 – passed 55 days ago``."""
    return f"{claim.phrase} – {claim.status}" if claim.status else claim.phrase


def list_remarks(claim: ClaimLine) -> tuple[str, ...]:
    """Return the remarks on a claim: how alertd computed it, and its note."""
    derived = f"computed: {claim.derived}" if claim.derived else ""
    return tuple(part for part in (derived, claim.note) if part)


def list_warnings(item: Item) -> tuple[str, ...]:
    """Return the warnings to show next to the badge, each one or two words."""
    named = {"contested": item.contested, "tentative": item.tentative, "sent late": bool(item.late)}
    return tuple(name for name, holds in named.items() if holds)


def list_sentences(item: Item) -> tuple[str, ...]:
    """Return the sentences below the headline; a sentence about the reminder's own lateness comes last.

    The sentence about contradictions is left out, because a list of all claims follows.
    """
    return (*item.sentences, item.late) if item.late else item.sentences


def list_brief_sentences(item: Item) -> tuple[str, ...]:
    """Return the sentences about one milestone of many: the move or the completion, and the lateness."""
    told = item.details[:3] if item.cause in (Cause.MOVED, Cause.DONE) else ()
    return (*told, item.late) if item.late else told


def list_full_fields(item: Item) -> tuple[ShownField, ...]:
    """List the fields that a message about this milestone alone shows."""
    return tuple(select_shown_fields(item.fields, FieldReach.ALONE))


def list_brief_fields(item: Item) -> tuple[str, ...]:
    """List the fields that a message about several milestones shows of each, as text."""
    return tuple(shown.text for shown in select_shown_fields(item.fields, FieldReach.LISTED))


def join_phrase_and_fields(item: Item) -> str:
    """Join the deadline and the brief fields, for a milestone that gets a single line."""
    return " · ".join((item.phrase, *list_brief_fields(item)))


def end_sentence(sentence: str) -> str:
    """Return the sentence with a full stop, unless it ends in a punctuation mark."""
    return sentence if not sentence or sentence[-1] in ".!?…" else sentence + "."


def limit_items(items: Sequence[Item], limit: int = MAX_ITEMS) -> tuple[Sequence[Item], str]:
    """Return the first ``limit`` items, which are the most urgent, and a sentence that counts the rest."""
    rest = len(items) - limit
    return items[:limit], f"and {rest:,} more, not listed here" if rest > 0 else ""


def group_by_section(items: Iterable[Item]) -> list[tuple[str, list[Item]]]:
    """Return the items grouped by heading, in their order. Outside of a digest, the heading is ""."""
    return [(heading, list(group)) for heading, group in groupby(items, key=lambda item: item.section)]


def find_common_timeline(items: Iterable[Item]) -> str:
    """Return the title of the timeline that all items belong to; "" if they belong to several."""
    titles = {item.timeline: item.timeline_title for item in items}
    return next(iter(titles.values())) if len(titles) == 1 else ""


def make_explain_hint(message: Message) -> str:
    """Return the sentence that explains to the receiver why a message about many milestones came."""
    return f"Sent to {message.receiver}. To see why, for each: alertd explain MILESTONE"


def wrap(text: str, width: int, indent: str = "") -> str:
    """Return ``text`` broken between words, with ``indent`` before each line."""
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _blocks(message: Message, width: int) -> list[str]:
    match message.kind:
        case Kind.SINGLE:
            return _single(message.items[0], width)
        case Kind.MANY | Kind.DIGEST:
            return _many(message, width)
        case Kind.NOTICE | Kind.TEST:
            return [wrap(line, width) for line in (message.subject, *message.lines)]


def _single(item: Item, width: int) -> list[str]:
    above = " · ".join([item.badge, *list_warnings(item)]).upper()
    names = [item.title] if item.title == item.timeline_title else [item.title, item.timeline_title]
    return [
        above,
        "\n".join(wrap(name, width) for name in names if name),
        wrap(item.phrase, width, "    "),
        wrap(end_sentence(item.headline), width),
        "\n".join(wrap(sentence, width) for sentence in list_sentences(item)),
        *(shown.text if shown.is_link else wrap(shown.text, width) for shown in list_full_fields(item)),
        _links(item),
        _claims(item.claims, width),
        "\n".join(wrap(sentence, width) for sentence in (item.next, item.why) if sentence),
    ]


def _links(item: Item) -> str:
    """Return links to the actions and to details, each on its own line, so that no URL is broken."""
    links = [(action.label, action.url) for action in item.actions if action.url]
    links += [("Details", item.page)] if item.page else []
    return "\n".join(f"{label}: {url}" for label, url in links)


def _claims(claims: Sequence[ClaimLine], width: int) -> str:
    if not claims:
        return ""
    return "\n\n".join(["WHO SAYS WHAT", *(_claim(claim, width) for claim in claims)])


def _claim(claim: ClaimLine, width: int) -> str:
    mark = ("> " if claim.headline else "* ") if claim.live else "- "
    lines = [mark + wrap(format_claim(claim), width - 2, "  ").lstrip()]
    for account in claim.accounts:
        lines.append(wrap(format_account(account), width, "  "))
        if account.url:
            lines.append(f"  {account.url}")
    lines += [wrap(remark, width, "  ") for remark in list_remarks(claim)]
    return "\n".join(lines)


def _many(message: Message, width: int) -> list[str]:
    items, rest = limit_items(message.items)
    common = find_common_timeline(items)
    blocks = [wrap(message.subject, width) + (f"\n{common}" if common else "")]
    blocks += [wrap(line, width) for line in message.lines]
    if len(items) > FEW_ITEMS:
        blocks.append(_overview(items, width))
    for heading, group in group_by_section(items):
        blocks += [_rule(heading, width)] if heading else []
        blocks += [_describe(item, width, with_timeline=not common) for item in group]
    return [*blocks, rest, wrap(make_explain_hint(message), width)]


def _rule(heading: str, width: int) -> str:
    start = f"── {heading.upper()} "
    return start + "─" * max(0, min(40, width) - len(start))


def _overview(items: Sequence[Item], width: int) -> str:
    """Return one line for each milestone, under the headings. The overview comes before all details."""
    blocks = []
    for heading, group in group_by_section(items):
        lines = [heading.upper()] if heading else []
        lines += [cut_text(f"{item.badge.ljust(BADGE_WIDTH - 1)} {item.title}", width) for item in group]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _describe(item: Item, width: int, *, with_timeline: bool) -> str:
    indent = " " * BADGE_WIDTH
    lines = wrap(item.title, width, indent).splitlines()
    badge = item.badge.upper()
    if len(badge) < BADGE_WIDTH - 1:
        lines[0] = badge.ljust(BADGE_WIDTH) + lines[0].lstrip()
    else:
        lines.insert(0, badge)
    if with_timeline and item.timeline_title != item.title:
        lines.append(wrap(item.timeline_title, width, indent))
    lines.append(wrap(" · ".join([item.phrase, *list_warnings(item)]), width, indent))
    lines.append(wrap(end_sentence(item.headline), width, indent))
    lines += [
        wrap(sentence, width, indent) for sentence in (*list_brief_sentences(item), *list_brief_fields(item))
    ]
    lines.append(indent + item.milestone)
    if item.page:
        lines.append(indent + item.page)
    return "\n".join(lines)


def _footer(message: Message, width: int) -> str:
    lines = ["─" * min(40, width)]
    if message.kind is Kind.SINGLE:
        item = message.items[0]
        lines.append(wrap(f"{item.milestone} · revision {item.revision} · {item.zone}", width))
    if message.page:
        lines.append(f"All deadlines: {message.page}")
    lines.append(f"{message.id} · alertd")
    return "\n".join(lines)
