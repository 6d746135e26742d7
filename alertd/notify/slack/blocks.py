"""Lays a message out for Slack: what it says in blocks, what adds to it beside a coloured edge.

A date is written as words, as it was given: ``<!date^...>`` would be shown in each reader's zone, and so on
another day, and would make a time of what is a month.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from alertd.core.message.message import ClaimLine, Item, Kind, Message
from alertd.core.milestones.milestone import State
from alertd.core.words import day_text
from alertd.notify.render.markup import units
from alertd.notify.render.palette import look_of
from alertd.notify.render.text import (
    account_text,
    brief_story,
    claim_text,
    common_timeline,
    explain_hint,
    remarks,
    stopped,
    story,
    tags,
)
from alertd.notify.slack.posts import Frame, Piece, Post, posts_of
from alertd.notify.slack.text import (
    MAX_HEADER,
    Block,
    act_button,
    actions,
    bold,
    code,
    context,
    divider,
    escaped,
    header,
    italic,
    link_button,
    linked,
    section,
    sections,
    struck,
)

MAX_CLAIMS = 14
MAX_NOTICE_LINES = 25
MAX_LISTED = 25
"""Of more milestones each gets one line."""

CLOSED = (State.DONE, State.CANCELLED)


def whole(
    message: Message, *, mention: str = "", interactive: bool = False, lasting: bool = False
) -> tuple[Post, ...]:
    """The whole message.

    Args:
        message: made fit by :func:`alertd.notify.render.clean.fit`.
        mention: who is mentioned, in Slack's markup.
        interactive: whether a click on an action's button is posted to alertd, instead of opening a page.
        lasting: it will be brought up to date, so it says as of when it is.
    """
    frame, top = _frame(message, mention), _top(message, mention)
    match message.kind:
        case Kind.SINGLE:
            return _single(message, frame, top, interactive=interactive, lasting=lasting)
        case Kind.MANY | Kind.DIGEST:
            return _many(message, frame, top)
        case Kind.NOTICE | Kind.TEST:
            head = [Piece(block=header(message.subject)), *top]
            return posts_of(frame, [*head, *_lines(message), *_home(message)])


def reply(message: Message, *, mention: str = "", interactive: bool = False) -> Post:
    """What is new about one milestone, for the thread under the message that has it whole."""
    item = message.items[0]
    title = f"{look_of(item).mark} {bold(_capital(item.badge))} – {_title(item)}"
    said = [stopped(item.headline), *story(item)]
    if item.contradiction and item.contradiction not in said:
        said.insert(1, stopped(item.contradiction))
    pieces = [*_top(message, mention), Piece(block=section("\n".join([title, _marks(item)])))]
    pieces += [Piece(block=block) for block, _ in sections(map(escaped, said))]
    pieces += _buttons(item, interactive=interactive)
    if item.next:
        pieces.append(Piece(block=context(escaped(item.next)), attached=True))
    return posts_of(_frame(message, mention), pieces)[0]


def _top(message: Message, mention: str) -> list[Piece]:
    texts = [mention, italic(message.intro)]
    return [Piece(block=section(text)) for text in texts if text]


def _lines(message: Message) -> list[Piece]:
    return [Piece(block=section(escaped(line))) for line in message.lines[:MAX_NOTICE_LINES]]


def _single(
    message: Message, frame: Frame, top: list[Piece], *, interactive: bool, lasting: bool
) -> tuple[Post, ...]:
    item = message.items[0]
    pieces = [*_heading(item), *top]
    below = [] if item.timeline_title in ("", item.title) else [escaped(item.timeline_title)]
    pieces.append(Piece(block=section("\n".join([_marks(item), *below]))))
    said = map(escaped, (stopped(item.headline), *story(item)))
    pieces += [Piece(block=block) for block, _ in sections(said)]
    if item.description or item.url:
        parts = [escaped(item.description), f"<{escaped(item.url)}>" if item.url else ""]
        pieces += [Piece(block=block) for block, _ in sections(filter(None, parts))]
    pieces += _buttons(item, interactive=interactive)
    pieces += [Piece(block=block, attached=True) for block in _claims(item)]
    ahead = [part for part in (item.next, item.why) if part]
    if lasting:
        ahead.append(
            f"As of {_day(message, item)}. Later reminders are replies here, and bring this up to date."
        )
    if ahead:
        pieces.append(Piece(block=context(escaped("\n".join(ahead))), attached=True))
    about = f"{item.milestone} · revision {item.revision} · {item.zone}"
    return posts_of(
        replace(frame, footer=escaped(about), more=f"See: alertd explain {item.milestone}"), pieces
    )


def _heading(item: Item) -> Iterator[Piece]:
    mark, badge = look_of(item).mark, _capital(item.badge)
    if item.state in CLOSED:
        # A header has no markup, so what is closed is struck in a section.
        yield Piece(block=section(f"{mark} {bold(badge)} – {struck(item.title)}"))
        return
    text = f"{mark} {badge}: {item.title}"
    yield Piece(block=header(text))
    if units(text) > MAX_HEADER:
        yield Piece(block=section(bold(item.title)))


def _marks(item: Item) -> str:
    return " · ".join([bold(item.phrase), *(italic(tag) for tag in tags(item))])


def _title(item: Item) -> str:
    if not item.page:
        return struck(item.title) if item.state in CLOSED else bold(item.title)
    mark = "~" if item.state in CLOSED else "*"
    return f"{mark}{linked(item.title, item.page)}{mark}"


def _claims(item: Item) -> Iterator[Block]:
    if item.claims:
        yield section("*Who says what*")
    for claim in item.claims[:MAX_CLAIMS]:
        yield from (block for block, _ in sections(_claim(claim)))
    if len(item.claims) > MAX_CLAIMS:
        yield section(f"and {len(item.claims) - MAX_CLAIMS} more")


def _claim(claim: ClaimLine) -> Iterator[str]:
    status = f" – {escaped(claim.status)}" if claim.status else ""
    if claim.headline:
        yield bold(claim.phrase) + status
    elif not claim.live:
        yield struck(claim.phrase) + status
    else:
        yield escaped(claim_text(claim))
    for account in claim.accounts:
        source = f" {linked('source', account.url)}" if account.url else ""
        yield escaped(account_text(account)) + source
    yield from (italic(remark) for remark in remarks(claim))


def _buttons(item: Item, *, interactive: bool) -> Iterator[Piece]:
    buttons = []
    for action in item.actions if item.state not in CLOSED else ():
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
        head.append(Piece(block=section(escaped(common))))
    end = [*_lines(message), *_home(message)]
    end.append(Piece(block=context(escaped(explain_hint(message))), attached=True))
    if len(message.items) <= MAX_LISTED:
        posts = posts_of(frame, [*head, *_at_length(message, with_timeline=not common), *end])
        if len(posts) == 1:
            return posts
    return posts_of(frame, [*head, *_in_short(message), *end])


def _at_length(message: Message, *, with_timeline: bool) -> Iterator[Piece]:
    below = ""
    for item in message.items:
        if item.section != below:
            yield from _under(item.section)
            below = item.section
        yield Piece(block=section(_one_of_many(item, with_timeline=with_timeline)), names=(_name(item),))


def _under(name: str) -> Iterator[Piece]:
    """The heading of a digest's section."""
    if name:
        yield Piece(block=divider())
        yield Piece(block=section(bold(name)))


def _one_of_many(item: Item, *, with_timeline: bool) -> str:
    lines = [f"{look_of(item).mark} {bold(item.badge)} – {_title(item)}"]
    about = [bold(item.phrase), *(italic(tag) for tag in tags(item))]
    if with_timeline and item.timeline_title not in ("", item.title):
        about.append(escaped(item.timeline_title))
    lines.append(" · ".join(about))
    lines += [escaped(sentence) for sentence in (stopped(item.headline), *brief_story(item))]
    if not item.page:
        lines.append(code(item.milestone))
    return "\n".join(lines)


def _in_short(message: Message) -> Iterator[Piece]:
    """A line for each, under the heading of its section."""
    groups: dict[str, list[Item]] = {}
    for item in message.items:
        groups.setdefault(item.section, []).append(item)
    for name, items in groups.items():
        yield from _under(name)
        at = 0
        for block, lines in sections(map(_line, items)):
            names = tuple(_name(item) for item in items[at : at + len(lines)])
            at += len(lines)
            yield Piece(block=block, names=names)


def _line(item: Item) -> str:
    return f"{look_of(item).mark} {bold(item.badge)} – {_title(item)} ({escaped(item.phrase)})"


def _name(item: Item) -> str:
    return escaped(f"{_capital(item.badge)}: {item.title} ({item.phrase})")


def _home(message: Message) -> list[Piece]:
    return [Piece(block=actions([link_button("Open alertd", "home", message.page)]))] if message.page else []


def _frame(message: Message, mention: str = "") -> Frame:
    said = [message.subject]
    if message.kind is Kind.SINGLE:
        said += [stopped(item.headline) for item in message.items]
    else:
        said += message.lines
    lead = "\n".join(escaped(line) for line in (message.intro, *said) if line)
    return Frame(id=message.id, lead=f"{mention} {lead}".strip(), color=look_of(message).strong)


def _day(message: Message, item: Item) -> str:
    try:
        zone = ZoneInfo(item.zone)
    except (ValueError, KeyError, OSError):
        return day_text(message.at.date())
    return day_text(message.at.astimezone(zone).date())


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
