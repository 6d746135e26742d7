"""What a chat message says, line by line, before the markup of any service: one outline for all of them.

A line is plain text in a few spans of one style each, so it can be cut anywhere and no markup breaks. The
order is that of :mod:`alertd.notify.render.text`: what is needed to act comes first, and is cut last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from alertd.core.message.message import ClaimLine, Item, Kind, Message
from alertd.notify.render.palette import look_of
from alertd.notify.render.text import (
    account_text,
    brief_story,
    common_timeline,
    explain_hint,
    remarks,
    sections,
    stopped,
    story,
    tags,
)


class Style(Enum):
    """How a span looks."""

    PLAIN = auto()
    BOLD = auto()
    ITALIC = auto()
    STRUCK = auto()
    CODE = auto()


@dataclass(frozen=True, slots=True)
class Span:
    """Some text, without a line break. ``url``: what it leads to."""

    text: str
    style: Style = Style.PLAIN
    url: str = ""


@dataclass(frozen=True, slots=True)
class OutlineLine:
    """One line. ``names``: how many milestones it is the only one to name."""

    spans: tuple[Span, ...]
    names: int = 0


MIN_CUT = 20
"""Fewer characters of a line are not worth showing."""

Paragraph = tuple[OutlineLine, ...]
Cost = Callable[[OutlineLine], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPiece:
    """What a button says, and what it opens."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A message.

    Attributes:
        title: what it is about, at most some 400 characters.
        url: where the title leads to; "" for nowhere.
        paragraphs: none is empty, and neither is any line.
        about: what the milestone is called, in which revision; "" when it is not about one.
        id: the delivery's.
        links: for buttons, in their order.
    """

    title: str
    url: str
    paragraphs: tuple[Paragraph, ...]
    about: str
    id: str
    links: tuple[LinkPiece, ...]


def outlined(message: Message, room: int, cost: Cost) -> Outline:
    """The message in as much detail as there is room for; what is left out is said in its last line.

    Args:
        message: made fit by :func:`alertd.notify.render.clean.fit`.
        room: for all paragraphs together.
        cost: of a line, with the line break and the blank line that may come after it.
    """
    whole = _whole(message)
    if _total(whole.paragraphs, cost) <= room:
        return whole
    short = _whole(message, brief=True)
    return replace(short, paragraphs=_filled(short.paragraphs, room, cost, _more(message)))


def frame_of(message: Message) -> Outline:
    """The message without its paragraphs: what there must be room for in any case."""
    return replace(_whole(message, brief=True), paragraphs=())


def links_of(message: Message) -> tuple[LinkPiece, ...]:
    """What can be done, and where to read more, as far as alertd's own page is served."""
    if message.kind is not Kind.SINGLE:
        return (LinkPiece(label="Open alertd", url=message.page),) if message.page else ()
    item = message.items[0]
    links = [LinkPiece(label=action.label, url=action.url) for action in item.actions if action.url]
    return (*links, LinkPiece(label="Details", url=item.page)) if item.page else tuple(links)


def _whole(message: Message, *, brief: bool = False) -> Outline:
    intro = [(_line(Span(message.intro, Style.ITALIC)),)]
    title, url, about = message.subject, message.page, ""
    paragraphs: list[Paragraph] = [tuple(map(_plain, message.lines))]
    match message.kind:
        case Kind.SINGLE:
            item = message.items[0]
            title, url = f"{look_of(item).mark} {_capital(item.badge)}: {item.title}", item.page
            about = f"{item.milestone} · revision {item.revision} · {item.zone}"
            paragraphs = _single(item)
        case Kind.MANY | Kind.DIGEST:
            title = f"{look_of(message).mark} {title}"
            told = _in_short(message) if brief else _at_length(message)
            paragraphs = [*told, *paragraphs, (_plain(explain_hint(message)),)]
        case Kind.NOTICE | Kind.TEST:
            pass
    return Outline(
        title=title.strip(),
        url=url,
        paragraphs=tuple(filter(None, map(_without_blanks, [*intro, *paragraphs]))),
        about=about,
        id=message.id,
        links=links_of(message),
    )


def _single(item: Item) -> list[Paragraph]:
    timeline = "" if item.timeline_title == item.title else item.timeline_title
    return [
        (_marks(item), _plain(timeline)),
        tuple(map(_plain, (stopped(item.headline), *story(item)))),
        (_plain(item.description), _line(Span(item.url, url=item.url))),
        *_claims(item.claims),
        (_plain(item.next), _plain(item.why)),
    ]


def _claims(claims: Sequence[ClaimLine]) -> Iterator[Paragraph]:
    if claims:
        yield (_line(Span("Who says what", Style.BOLD)),)
    yield from (tuple(_claim(claim)) for claim in claims)


def _claim(claim: ClaimLine) -> Iterator[OutlineLine]:
    style = Style.BOLD if claim.headline else Style.PLAIN if claim.live else Style.STRUCK
    yield _line(Span(claim.phrase, style), Span(f" – {claim.status}" if claim.status else ""))
    for account in claim.accounts:
        source = (Span(" "), Span("source", url=account.url)) if account.url else ()
        yield _line(Span(account_text(account)), *source)
    yield from (_line(Span(remark, Style.ITALIC)) for remark in remarks(claim))


def _at_length(message: Message) -> list[Paragraph]:
    common = common_timeline(message.items)
    paragraphs: list[Paragraph] = [(_plain(common),)]
    for heading, group in sections(message.items):
        paragraphs.append((_line(Span(heading, Style.BOLD)),))
        for item in group:
            timeline = "" if common or item.timeline_title == item.title else item.timeline_title
            told = map(_plain, (timeline, stopped(item.headline), *brief_story(item)))
            name = () if item.page else (_line(Span(item.milestone, Style.CODE)),)
            paragraphs.append((_name(item), _marks(item), *told, *name))
    return paragraphs


def _in_short(message: Message) -> list[Paragraph]:
    """A line for each, under the heading of its section."""
    return [
        (_line(Span(heading, Style.BOLD)), *(_name(item, Span(f" ({item.phrase})")) for item in group))
        for heading, group in sections(message.items)
    ]


def _name(item: Item, *more: Span) -> OutlineLine:
    spans = (
        Span(f"{look_of(item).mark} "),
        Span(_capital(item.badge), Style.BOLD),
        Span(" – "),
        Span(item.title, Style.BOLD, item.page),
    )
    return OutlineLine((*spans, *more), names=1)


def _marks(item: Item) -> OutlineLine:
    spans = [Span(item.phrase, Style.BOLD)]
    for tag in tags(item):
        spans += [Span(" · "), Span(tag, Style.ITALIC)]
    return _line(*spans)


def _plain(text: str) -> OutlineLine:
    return _line(Span(text))


def _line(*spans: Span) -> OutlineLine:
    return OutlineLine(spans)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _without_blanks(paragraph: Iterable[OutlineLine]) -> Paragraph:
    lines = (replace(line, spans=tuple(span for span in line.spans if span.text)) for line in paragraph)
    return tuple(line for line in lines if any(span.text.strip() for span in line.spans))


def _total(paragraphs: Iterable[Paragraph], cost: Cost) -> int:
    return sum(cost(line) for paragraph in paragraphs for line in paragraph)


def _more(message: Message) -> str:
    if message.kind is Kind.SINGLE:
        item = message.items[0]
        return f"See {item.page}" if item.page else f"See: alertd explain {item.milestone}"
    return f"See {message.page}" if message.page else "See: alertd status"


def _filled(paragraphs: Sequence[Paragraph], room: int, cost: Cost, more: str) -> tuple[Paragraph, ...]:
    """The lines that there is room for, in their order, and at the end what is said of the others."""
    unnamed = sum(line.names for paragraph in paragraphs for line in paragraph)
    left = room - cost(_rest(unnamed, more))
    kept: list[Paragraph] = []
    for paragraph in paragraphs:
        lines: list[OutlineLine] = []
        for line in paragraph:
            left -= cost(line)
            if left < 0:
                # The name of a milestone is shown whole or counted.
                begun = None if line.names else _cut(line, left + cost(line), cost)
                lines += [begun] if begun else []
                return tuple(filter(None, (*kept, tuple(lines), (_rest(unnamed, more),))))
            lines.append(line)
            unnamed -= line.names
        kept.append(tuple(lines))
    return tuple(kept)


def _rest(unnamed: int, more: str) -> OutlineLine:
    said = f"and {unnamed:,} more, not listed here." if unnamed else "The rest is not shown here."
    return _line(Span(f"{said} {more}", Style.ITALIC))


def _cut(line: OutlineLine, room: int, cost: Cost) -> OutlineLine | None:
    """The beginning of a line and an ellipsis; None when that is hardly a word."""
    length = sum(len(span.text) for span in line.spans)
    fits = bisect_right(range(length), room, key=lambda count: cost(_begun(line, count))) - 1
    return _begun(line, fits) if fits >= MIN_CUT else None


def _begun(line: OutlineLine, count: int) -> OutlineLine:
    spans = []
    for span in line.spans:
        if count <= 0:
            break
        spans.append(replace(span, text=span.text[:count]))
        count -= len(span.text)
    if spans:
        spans[-1] = replace(spans[-1], text=spans[-1].text.rstrip() + "…")
    return replace(line, spans=tuple(spans))
