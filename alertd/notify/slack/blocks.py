"""Renders a message for Slack: the main facts as blocks, the details in an attachment with a coloured edge.

Dates are written as their sources gave them. Slack's ``<!date^...>`` would convert a date to each reader's
time zone, which may show another day, and would turn a month into an instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from alertd.core.message.message import ClaimLine, Item, Kind, Message
from alertd.core.milestones.fields import ShownField
from alertd.core.words import format_day
from alertd.notify.render.markup import count_units
from alertd.notify.render.palette import choose_palette
from alertd.notify.render.text import (
    end_sentence,
    find_common_timeline,
    format_account,
    format_claim,
    join_phrase_and_fields,
    list_brief_fields,
    list_brief_sentences,
    list_full_fields,
    list_remarks,
    list_sentences,
    list_warnings,
    make_explain_hint,
)
from alertd.notify.slack.posts import Frame, Piece, Post, split_into_posts
from alertd.notify.slack.text import (
    MAX_HEADER,
    Block,
    bold,
    code,
    escape,
    group_into_sections,
    italic,
    make_act_button,
    make_actions,
    make_context,
    make_divider,
    make_header,
    make_link,
    make_link_button,
    make_section,
    strike,
)

MAX_CLAIMS = 14
MAX_NOTICE_LINES = 25
MAX_LISTED = 25
"""If a message has more milestones, each gets only one line."""


def render_posts(
    message: Message, *, mention: str = "", interactive: bool = False, lasting: bool = False
) -> tuple[Post, ...]:
    """Render the whole message.

    Args:
        message: a message that ``clean_message`` has cleaned.
        mention: who is mentioned, in Slack's markup.
        interactive: whether Slack posts the click on an action's button to alertd. If not, the button opens a
            page.
        lasting: whether alertd will edit the message later. If so, the message says as of which day it is.
    """
    frame, top = _frame(message, mention), _top(message, mention)
    match message.kind:
        case Kind.SINGLE:
            return _single(message, frame, top, interactive=interactive, lasting=lasting)
        case Kind.MANY | Kind.DIGEST:
            return _many(message, frame, top)
        case Kind.NOTICE | Kind.TEST:
            head = [Piece(block=make_header(message.subject)), *top]
            return split_into_posts(frame, [*head, *_lines(message), *_home(message)])


def render_reply(message: Message, *, mention: str = "", interactive: bool = False) -> Post:
    """Render the news about one milestone, for the thread under the message with all its facts."""
    item = message.items[0]
    title = f"{choose_palette(item).mark} {bold(_capital(item.badge))} – {_title(item)}"
    said = [end_sentence(item.headline), *list_sentences(item)]
    if item.contradiction and item.contradiction not in said:
        said.insert(1, end_sentence(item.contradiction))
    pieces = [
        *_top(message, mention),
        Piece(block=make_section("\n".join([title, _marks(item), *map(escape, list_brief_fields(item))]))),
    ]
    pieces += [Piece(block=block) for block, _ in group_into_sections(map(escape, said))]
    pieces += _buttons(item, interactive=interactive)
    if item.next:
        pieces.append(Piece(block=make_context(escape(item.next)), attached=True))
    return split_into_posts(_frame(message, mention), pieces)[0]


def _top(message: Message, mention: str) -> list[Piece]:
    texts = [mention, italic(message.intro)]
    return [Piece(block=make_section(text)) for text in texts if text]


def _lines(message: Message) -> list[Piece]:
    return [Piece(block=make_section(escape(line))) for line in message.lines[:MAX_NOTICE_LINES]]


def _single(
    message: Message, frame: Frame, top: list[Piece], *, interactive: bool, lasting: bool
) -> tuple[Post, ...]:
    item = message.items[0]
    pieces = [*_heading(item), *top]
    below = [] if item.timeline_title in ("", item.title) else [escape(item.timeline_title)]
    pieces.append(Piece(block=make_section("\n".join([_marks(item), *below]))))
    said = map(escape, (end_sentence(item.headline), *list_sentences(item)))
    pieces += [Piece(block=block) for block, _ in group_into_sections(said)]
    pieces += [Piece(block=block) for block, _ in group_into_sections(map(_field, list_full_fields(item)))]
    pieces += _buttons(item, interactive=interactive)
    pieces += [Piece(block=block, attached=True) for block in _claims(item)]
    ahead = [part for part in (item.next, item.why) if part]
    if lasting:
        ahead.append(
            f"As of {_day(message, item)}. Later reminders are replies here, and bring this up to date."
        )
    if ahead:
        pieces.append(Piece(block=make_context(escape("\n".join(ahead))), attached=True))
    about = f"{item.milestone} · revision {item.revision} · {item.zone}"
    return split_into_posts(
        replace(frame, footer=escape(about), more=f"See: alertd explain {item.milestone}"), pieces
    )


def _field(shown: ShownField) -> str:
    return f"<{escape(shown.text)}>" if shown.is_link else escape(shown.text)


def _heading(item: Item) -> Iterator[Piece]:
    mark, badge = choose_palette(item).mark, _capital(item.badge)
    if item.state.is_closed:
        # A header block has no markup, so the strike title of a closed milestone needs a section block.
        yield Piece(block=make_section(f"{mark} {bold(badge)} – {strike(item.title)}"))
        return
    text = f"{mark} {badge}: {item.title}"
    yield Piece(block=make_header(text))
    if count_units(text) > MAX_HEADER:
        yield Piece(block=make_section(bold(item.title)))


def _marks(item: Item) -> str:
    return " · ".join([bold(item.phrase), *(italic(tag) for tag in list_warnings(item))])


def _title(item: Item) -> str:
    if not item.page:
        return strike(item.title) if item.state.is_closed else bold(item.title)
    mark = "~" if item.state.is_closed else "*"
    return f"{mark}{make_link(item.title, item.page)}{mark}"


def _claims(item: Item) -> Iterator[Block]:
    if item.claims:
        yield make_section("*Who says what*")
    for claim in item.claims[:MAX_CLAIMS]:
        yield from (block for block, _ in group_into_sections(_claim(claim)))
    if len(item.claims) > MAX_CLAIMS:
        yield make_section(f"and {len(item.claims) - MAX_CLAIMS} more")


def _claim(claim: ClaimLine) -> Iterator[str]:
    status = f" – {escape(claim.status)}" if claim.status else ""
    if claim.headline:
        yield bold(claim.phrase) + status
    elif not claim.live:
        yield strike(claim.phrase) + status
    else:
        yield escape(format_claim(claim))
    for account in claim.accounts:
        source = f" {make_link('source', account.url)}" if account.url else ""
        yield escape(format_account(account)) + source
    yield from (italic(remark) for remark in list_remarks(claim))


def _buttons(item: Item, *, interactive: bool) -> Iterator[Piece]:
    buttons = []
    for action in item.actions if not item.state.is_closed else ():
        if interactive:
            buttons.append(make_act_button(action.label, action.kind, item.milestone))
        elif action.url:
            buttons.append(make_link_button(action.label, action.kind, action.url))
    if item.page:
        buttons.append(make_link_button("Details", "details", item.page))
    if buttons:
        yield Piece(block=make_actions(buttons))


def _many(message: Message, frame: Frame, top: list[Piece]) -> tuple[Post, ...]:
    frame = replace(frame, more=f"See {message.page}" if message.page else "See: alertd status")
    head = [Piece(block=make_header(message.subject)), *top]
    if common := find_common_timeline(message.items):
        head.append(Piece(block=make_section(escape(common))))
    end = [*_lines(message), *_home(message)]
    end.append(Piece(block=make_context(escape(make_explain_hint(message))), attached=True))
    if len(message.items) <= MAX_LISTED:
        posts = split_into_posts(frame, [*head, *_list_details(message, with_timeline=not common), *end])
        if len(posts) == 1:
            return posts
    return split_into_posts(frame, [*head, *_list_names(message), *end])


def _list_details(message: Message, *, with_timeline: bool) -> Iterator[Piece]:
    below = ""
    for item in message.items:
        if item.section != below:
            yield from _head_section(item.section)
            below = item.section
        yield Piece(block=make_section(_describe(item, with_timeline=with_timeline)), names=(_name(item),))


def _head_section(name: str) -> Iterator[Piece]:
    """Yield the heading of a digest's section."""
    if name:
        yield Piece(block=make_divider())
        yield Piece(block=make_section(bold(name)))


def _describe(item: Item, *, with_timeline: bool) -> str:
    lines = [f"{choose_palette(item).mark} {bold(item.badge)} – {_title(item)}"]
    about = [bold(item.phrase), *(italic(tag) for tag in list_warnings(item))]
    if with_timeline and item.timeline_title not in ("", item.title):
        about.append(escape(item.timeline_title))
    lines.append(" · ".join(about))
    lines += [
        escape(sentence)
        for sentence in (end_sentence(item.headline), *list_brief_sentences(item), *list_brief_fields(item))
    ]
    if not item.page:
        lines.append(code(item.milestone))
    return "\n".join(lines)


def _list_names(message: Message) -> Iterator[Piece]:
    """Yield one line for each milestone, under the heading of its section."""
    groups: dict[str, list[Item]] = {}
    for item in message.items:
        groups.setdefault(item.section, []).append(item)
    for name, items in groups.items():
        yield from _head_section(name)
        at = 0
        for block, lines in group_into_sections(map(_line, items)):
            names = tuple(_name(item) for item in items[at : at + len(lines)])
            at += len(lines)
            yield Piece(block=block, names=names)


def _line(item: Item) -> str:
    mark, details = choose_palette(item).mark, escape(join_phrase_and_fields(item))
    return f"{mark} {bold(item.badge)} – {_title(item)} ({details})"


def _name(item: Item) -> str:
    return escape(f"{_capital(item.badge)}: {item.title} ({item.phrase})")


def _home(message: Message) -> list[Piece]:
    return (
        [Piece(block=make_actions([make_link_button("Open alertd", "home", message.page)]))]
        if message.page
        else []
    )


def _frame(message: Message, mention: str = "") -> Frame:
    said = [message.subject]
    if message.kind is Kind.SINGLE:
        said += [end_sentence(item.headline) for item in message.items]
    else:
        said += message.lines
    lead = "\n".join(escape(line) for line in (message.intro, *said) if line)
    return Frame(id=message.id, lead=f"{mention} {lead}".strip(), color=choose_palette(message).strong)


def _day(message: Message, item: Item) -> str:
    try:
        zone = ZoneInfo(item.zone)
    except (ValueError, KeyError, OSError):
        return format_day(message.at.date())
    return format_day(message.at.astimezone(zone).date())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
