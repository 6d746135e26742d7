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
from alertd.notify.render.markup import units
from alertd.notify.render.palette import look_of
from alertd.notify.render.text import (
    account_text,
    brief_fields,
    brief_story,
    claim_text,
    common_timeline,
    end_sentence,
    explain_hint,
    fields_alone,
    phrase_and_fields,
    remarks,
    story,
    tags,
)
from alertd.notify.slack.posts import Frame, Piece, Post, split_into_posts
from alertd.notify.slack.text import (
    MAX_HEADER,
    Block,
    act_button,
    actions,
    bold,
    code,
    context,
    divider,
    escape,
    header,
    italic,
    link,
    link_button,
    section,
    sections,
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
        message: a message that :func:`alertd.notify.render.clean.fit` has cleaned.
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
            head = [Piece(block=header(message.subject)), *top]
            return split_into_posts(frame, [*head, *_lines(message), *_home(message)])


def render_reply(message: Message, *, mention: str = "", interactive: bool = False) -> Post:
    """Render the news about one milestone, for the thread under the message with all its facts."""
    item = message.items[0]
    title = f"{look_of(item).mark} {bold(_capital(item.badge))} – {_title(item)}"
    said = [end_sentence(item.headline), *story(item)]
    if item.contradiction and item.contradiction not in said:
        said.insert(1, end_sentence(item.contradiction))
    pieces = [
        *_top(message, mention),
        Piece(block=section("\n".join([title, _marks(item), *map(escape, brief_fields(item))]))),
    ]
    pieces += [Piece(block=block) for block, _ in sections(map(escape, said))]
    pieces += _buttons(item, interactive=interactive)
    if item.next:
        pieces.append(Piece(block=context(escape(item.next)), attached=True))
    return split_into_posts(_frame(message, mention), pieces)[0]


def _top(message: Message, mention: str) -> list[Piece]:
    texts = [mention, italic(message.intro)]
    return [Piece(block=section(text)) for text in texts if text]


def _lines(message: Message) -> list[Piece]:
    return [Piece(block=section(escape(line))) for line in message.lines[:MAX_NOTICE_LINES]]


def _single(
    message: Message, frame: Frame, top: list[Piece], *, interactive: bool, lasting: bool
) -> tuple[Post, ...]:
    item = message.items[0]
    pieces = [*_heading(item), *top]
    below = [] if item.timeline_title in ("", item.title) else [escape(item.timeline_title)]
    pieces.append(Piece(block=section("\n".join([_marks(item), *below]))))
    said = map(escape, (end_sentence(item.headline), *story(item)))
    pieces += [Piece(block=block) for block, _ in sections(said)]
    pieces += [Piece(block=block) for block, _ in sections(map(_field, fields_alone(item)))]
    pieces += _buttons(item, interactive=interactive)
    pieces += [Piece(block=block, attached=True) for block in _claims(item)]
    ahead = [part for part in (item.next, item.why) if part]
    if lasting:
        ahead.append(
            f"As of {_day(message, item)}. Later reminders are replies here, and bring this up to date."
        )
    if ahead:
        pieces.append(Piece(block=context(escape("\n".join(ahead))), attached=True))
    about = f"{item.milestone} · revision {item.revision} · {item.zone}"
    return split_into_posts(
        replace(frame, footer=escape(about), more=f"See: alertd explain {item.milestone}"), pieces
    )


def _field(shown: ShownField) -> str:
    return f"<{escape(shown.text)}>" if shown.is_link else escape(shown.text)


def _heading(item: Item) -> Iterator[Piece]:
    mark, badge = look_of(item).mark, _capital(item.badge)
    if item.state.is_closed:
        # A header block has no markup, so the strike title of a closed milestone needs a section block.
        yield Piece(block=section(f"{mark} {bold(badge)} – {strike(item.title)}"))
        return
    text = f"{mark} {badge}: {item.title}"
    yield Piece(block=header(text))
    if units(text) > MAX_HEADER:
        yield Piece(block=section(bold(item.title)))


def _marks(item: Item) -> str:
    return " · ".join([bold(item.phrase), *(italic(tag) for tag in tags(item))])


def _title(item: Item) -> str:
    if not item.page:
        return strike(item.title) if item.state.is_closed else bold(item.title)
    mark = "~" if item.state.is_closed else "*"
    return f"{mark}{link(item.title, item.page)}{mark}"


def _claims(item: Item) -> Iterator[Block]:
    if item.claims:
        yield section("*Who says what*")
    for claim in item.claims[:MAX_CLAIMS]:
        yield from (block for block, _ in sections(_claim(claim)))
    if len(item.claims) > MAX_CLAIMS:
        yield section(f"and {len(item.claims) - MAX_CLAIMS} more")


def _claim(claim: ClaimLine) -> Iterator[str]:
    status = f" – {escape(claim.status)}" if claim.status else ""
    if claim.headline:
        yield bold(claim.phrase) + status
    elif not claim.live:
        yield strike(claim.phrase) + status
    else:
        yield escape(claim_text(claim))
    for account in claim.accounts:
        source = f" {link('source', account.url)}" if account.url else ""
        yield escape(account_text(account)) + source
    yield from (italic(remark) for remark in remarks(claim))


def _buttons(item: Item, *, interactive: bool) -> Iterator[Piece]:
    buttons = []
    for action in item.actions if not item.state.is_closed else ():
        if interactive:
            buttons.append(act_button(action.label, action.kind, item.milestone))
        elif action.url:
            buttons.append(link_button(action.label, action.kind, action.url))
    if item.page:
        buttons.append(link_button("Details", "details", item.page))
    if buttons:
        yield Piece(block=actions(buttons))


def _many(message: Message, frame: Frame, top: list[Piece]) -> tuple[Post, ...]:
    frame = replace(frame, more=f"See {message.page}" if message.page else "See: alertd status")
    head = [Piece(block=header(message.subject)), *top]
    if common := common_timeline(message.items):
        head.append(Piece(block=section(escape(common))))
    end = [*_lines(message), *_home(message)]
    end.append(Piece(block=context(escape(explain_hint(message))), attached=True))
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
        yield Piece(block=section(_describe(item, with_timeline=with_timeline)), names=(_name(item),))


def _head_section(name: str) -> Iterator[Piece]:
    """Yield the heading of a digest's section."""
    if name:
        yield Piece(block=divider())
        yield Piece(block=section(bold(name)))


def _describe(item: Item, *, with_timeline: bool) -> str:
    lines = [f"{look_of(item).mark} {bold(item.badge)} – {_title(item)}"]
    about = [bold(item.phrase), *(italic(tag) for tag in tags(item))]
    if with_timeline and item.timeline_title not in ("", item.title):
        about.append(escape(item.timeline_title))
    lines.append(" · ".join(about))
    lines += [
        escape(sentence)
        for sentence in (end_sentence(item.headline), *brief_story(item), *brief_fields(item))
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
        for block, lines in sections(map(_line, items)):
            names = tuple(_name(item) for item in items[at : at + len(lines)])
            at += len(lines)
            yield Piece(block=block, names=names)


def _line(item: Item) -> str:
    return f"{look_of(item).mark} {bold(item.badge)} – {_title(item)} ({escape(phrase_and_fields(item))})"


def _name(item: Item) -> str:
    return escape(f"{_capital(item.badge)}: {item.title} ({item.phrase})")


def _home(message: Message) -> list[Piece]:
    return [Piece(block=actions([link_button("Open alertd", "home", message.page)]))] if message.page else []


def _frame(message: Message, mention: str = "") -> Frame:
    said = [message.subject]
    if message.kind is Kind.SINGLE:
        said += [end_sentence(item.headline) for item in message.items]
    else:
        said += message.lines
    lead = "\n".join(escape(line) for line in (message.intro, *said) if line)
    return Frame(id=message.id, lead=f"{mention} {lead}".strip(), color=look_of(message).strong)


def _day(message: Message, item: Item) -> str:
    try:
        zone = ZoneInfo(item.zone)
    except (ValueError, KeyError, OSError):
        return format_day(message.at.date())
    return format_day(message.at.astimezone(zone).date())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
