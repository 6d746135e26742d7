"""Builds the outline of a chat message, line by line, which every service then renders in its own markup.

A line consists of spans, each with one style. Cutting a line between or within spans never breaks markup.
The order is that of :mod:`alertd.notify.render.text`: the facts needed to act come first and are cut last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from alertd.core.message.message import ClaimLine, Item, Kind, Message
from alertd.core.milestones.fields import ShownField
from alertd.notify.render.palette import choose_palette
from alertd.notify.render.text import (
    end_sentence,
    find_common_timeline,
    format_account,
    group_by_section,
    join_phrase_and_fields,
    list_brief_fields,
    list_brief_sentences,
    list_full_fields,
    list_remarks,
    list_sentences,
    list_warnings,
    make_explain_hint,
)


class Style(Enum):
    """The style of a span."""

    PLAIN = auto()
    BOLD = auto()
    ITALIC = auto()
    STRUCK = auto()
    CODE = auto()


@dataclass(frozen=True, slots=True)
class Span:
    """Text of one style, without a line break. ``url`` makes it a link."""

    text: str
    style: Style = Style.PLAIN
    url: str = ""


@dataclass(frozen=True, slots=True)
class OutlineLine:
    """One line.

    Attributes:
        names: how many milestones only this line names. If the line is cut, they are counted as not listed.
    """

    spans: tuple[Span, ...]
    names: int = 0


MIN_CUT = 20
"""A line is left out when fewer characters than this would fit."""

Paragraph = tuple[OutlineLine, ...]
Cost = Callable[[OutlineLine], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPiece:
    """The label of a button, and the URL that the button opens."""

    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The contents of a message, without markup.

    Attributes:
        title: the subject, at most about 400 characters.
        url: the page that the title links to; "" for none.
        paragraphs: paragraphs of lines. No paragraph and no line is empty.
        about: the milestone's id and revision; "" if the message is not about a single milestone.
        id: the delivery's id.
        links: the buttons, in their order.
    """

    title: str
    url: str
    paragraphs: tuple[Paragraph, ...]
    about: str
    id: str
    links: tuple[LinkPiece, ...]


def build_outline(message: Message, room: int, cost: Cost) -> Outline:
    """Return the outline with as much detail as fits. If lines are left out, the last line tells how many.

    Args:
        message: a message that :func:`alertd.notify.render.clean.clean_message` has cleaned.
        room: the limit for all paragraphs together, in the unit of ``cost``.
        cost: returns a line's length, including the line break and the blank line that may follow.
    """
    whole = _build(message)
    if _total(whole.paragraphs, cost) <= room:
        return whole
    short = _build(message, brief=True)
    return replace(short, paragraphs=_fill(short.paragraphs, room, cost, _refer(message)))


def build_frame(message: Message) -> Outline:
    """Return the outline without its paragraphs, to measure the length that every message needs."""
    return replace(_build(message, brief=True), paragraphs=())


def list_links(message: Message) -> tuple[LinkPiece, ...]:
    """Return links to the possible actions and to details. Without a page of alertd's own there are none."""
    if message.kind is not Kind.SINGLE:
        return (LinkPiece(label="Open alertd", url=message.page),) if message.page else ()
    item = message.items[0]
    links = [LinkPiece(label=action.label, url=action.url) for action in item.actions if action.url]
    return (*links, LinkPiece(label="Details", url=item.page)) if item.page else tuple(links)


def _build(message: Message, *, brief: bool = False) -> Outline:
    intro = [(_line(Span(message.intro, Style.ITALIC)),)]
    title, url, about = message.subject, message.page, ""
    paragraphs: list[Paragraph] = [tuple(map(_plain, message.lines))]
    match message.kind:
        case Kind.SINGLE:
            item = message.items[0]
            title, url = f"{choose_palette(item).mark} {_capital(item.badge)}: {item.title}", item.page
            about = f"{item.milestone} · revision {item.revision} · {item.zone}"
            paragraphs = _single(item)
        case Kind.MANY | Kind.DIGEST:
            title = f"{choose_palette(message).mark} {title}"
            told = _list_names(message) if brief else _list_details(message)
            paragraphs = [*told, *paragraphs, (_plain(make_explain_hint(message)),)]
        case Kind.NOTICE | Kind.TEST:
            pass
    return Outline(
        title=title.strip(),
        url=url,
        paragraphs=tuple(filter(None, map(_without_blanks, [*intro, *paragraphs]))),
        about=about,
        id=message.id,
        links=list_links(message),
    )


def _single(item: Item) -> list[Paragraph]:
    timeline = "" if item.timeline_title == item.title else item.timeline_title
    return [
        (_marks(item), _plain(timeline)),
        tuple(map(_plain, (end_sentence(item.headline), *list_sentences(item)))),
        tuple(map(_field, list_full_fields(item))),
        *_claims(item.claims),
        (_plain(item.next), _plain(item.why)),
    ]


def _field(shown: ShownField) -> OutlineLine:
    return _line(Span(shown.text, url=shown.text if shown.is_link else ""))


def _claims(claims: Sequence[ClaimLine]) -> Iterator[Paragraph]:
    if claims:
        yield (_line(Span("Who says what", Style.BOLD)),)
    yield from (tuple(_claim(claim)) for claim in claims)


def _claim(claim: ClaimLine) -> Iterator[OutlineLine]:
    style = Style.BOLD if claim.headline else Style.PLAIN if claim.live else Style.STRUCK
    yield _line(Span(claim.phrase, style), Span(f" – {claim.status}" if claim.status else ""))
    for account in claim.accounts:
        source = (Span(" "), Span("source", url=account.url)) if account.url else ()
        yield _line(Span(format_account(account)), *source)
    yield from (_line(Span(remark, Style.ITALIC)) for remark in list_remarks(claim))


def _list_details(message: Message) -> list[Paragraph]:
    common = find_common_timeline(message.items)
    paragraphs: list[Paragraph] = [(_plain(common),)]
    for heading, group in group_by_section(message.items):
        paragraphs.append((_line(Span(heading, Style.BOLD)),))
        for item in group:
            timeline = "" if common or item.timeline_title == item.title else item.timeline_title
            told = map(
                _plain,
                (
                    timeline,
                    end_sentence(item.headline),
                    *list_brief_sentences(item),
                    *list_brief_fields(item),
                ),
            )
            name = () if item.page else (_line(Span(item.milestone, Style.CODE)),)
            paragraphs.append((_name(item), _marks(item), *told, *name))
    return paragraphs


def _list_names(message: Message) -> list[Paragraph]:
    """Return one line for each milestone, under the heading of its section."""
    return [
        (
            _line(Span(heading, Style.BOLD)),
            *(_name(item, Span(f" ({join_phrase_and_fields(item)})")) for item in group),
        )
        for heading, group in group_by_section(message.items)
    ]


def _name(item: Item, *more: Span) -> OutlineLine:
    spans = (
        Span(f"{choose_palette(item).mark} "),
        Span(_capital(item.badge), Style.BOLD),
        Span(" – "),
        Span(item.title, Style.BOLD, item.page),
    )
    return OutlineLine((*spans, *more), names=1)


def _marks(item: Item) -> OutlineLine:
    spans = [Span(item.phrase, Style.BOLD)]
    for tag in list_warnings(item):
        spans += [Span(" · "), Span(tag, Style.ITALIC)]
    return _line(*spans)


def _plain(text: str) -> OutlineLine:
    return _line(Span(text))


def _line(*spans: Span) -> OutlineLine:
    return OutlineLine(spans)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _without_blanks(paragraph: Iterable[OutlineLine]) -> Paragraph:
    return tuple(
        line if all(span.text for span in line.spans) else _drop_blanks(line)
        for line in paragraph
        if any(span.text.strip() for span in line.spans)
    )


def _drop_blanks(line: OutlineLine) -> OutlineLine:
    return replace(line, spans=tuple(span for span in line.spans if span.text))


def _total(paragraphs: Iterable[Paragraph], cost: Cost) -> int:
    return sum(cost(line) for paragraph in paragraphs for line in paragraph)


def _refer(message: Message) -> str:
    if message.kind is Kind.SINGLE:
        item = message.items[0]
        return f"See {item.page}" if item.page else f"See: alertd explain {item.milestone}"
    return f"See {message.page}" if message.page else "See: alertd status"


def _fill(paragraphs: Sequence[Paragraph], room: int, cost: Cost, more: str) -> tuple[Paragraph, ...]:
    """Return the first lines that fit, and a last line that says how much was left out."""
    unnamed = sum(line.names for paragraph in paragraphs for line in paragraph)
    left = room - cost(_rest(unnamed, more))
    kept: list[Paragraph] = []
    for paragraph in paragraphs:
        lines: list[OutlineLine] = []
        for line in paragraph:
            left -= cost(line)
            if left < 0:
                # A line that names a milestone is shown whole, or its milestones are counted.
                begun = None if line.names else _cut(line, left + cost(line), cost)
                lines += [begun] if begun else []
                return tuple(filter(None, (*kept, tuple(lines), (_rest(unnamed, more),))))
            lines.append(line)
            unnamed -= line.names
        kept.append(tuple(lines))
    return tuple(kept)


def _rest(unnamed: int, more: str) -> OutlineLine:
    text = f"and {unnamed:,} more, not listed here." if unnamed else "The rest is not shown here."
    return _line(Span(f"{text} {more}", Style.ITALIC))


def _cut(line: OutlineLine, room: int, cost: Cost) -> OutlineLine | None:
    """Return the beginning of a line with an ellipsis; None if fewer than ``MIN_CUT`` characters fit."""
    length = sum(len(span.text) for span in line.spans)
    fits = bisect_right(range(length), room, key=lambda count: cost(_shorten(line, count))) - 1
    return _shorten(line, fits) if fits >= MIN_CUT else None


def _shorten(line: OutlineLine, count: int) -> OutlineLine:
    spans = []
    for span in line.spans:
        if count <= 0:
            break
        spans.append(replace(span, text=span.text[:count]))
        count -= len(span.text)
    if spans:
        spans[-1] = replace(spans[-1], text=spans[-1].text.rstrip() + "…")
    return replace(line, spans=tuple(spans))
