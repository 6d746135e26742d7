"""How far away a milestone is, in two or three words: as a badge (SVG) and as a countdown for other pages.

Both are images of now: whoever keeps one keeps it for some minutes. Neither has a script, and neither asks
anybody else for anything.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.deadline import deadline_name, deadline_phrase
from alertd.core.ledger.records import Record
from alertd.core.message.claims import accounts_of
from alertd.core.message.message import Tone
from alertd.core.milestones.milestone import StatedWindow, stated_windows
from alertd.core.time.instant import local_date
from alertd.core.words import count, day_text, days_until, listing, status_of
from alertd.notify.render.clean import cut, line
from alertd.notify.render.palette import LOOKS, NEUTRAL
from alertd.web.feeds.cache import answer, etag_of
from alertd.web.server.access import RequestRefused, needs
from alertd.web.server.context import site_of
from alertd.web.server.render import page

FRESH_S = 300
"""How long a badge may be kept before it is asked for again."""

SOON_DAYS = 7
MOST_WINDOWS = 2
MAX_LABEL = 60

_HEIGHT, _SIZE, _PADDING = 20, 11, 7
_WIDE, _NARROW, _LETTER = 12.0, 4.0, 6.9
"""Pixels of a letter at that size; the text is fitted to them, whatever font there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One date of a milestone, and where it stands.

    Attributes:
        short: ``37 days``, ``55 days past``; the date itself when it has no end.
        name: the date as it was given: ``September 2026``.
        phrase: ``by September 2026``.
        who: whose word it is; "" for nobody's.
        look: the name of its own tone.
    """

    short: str
    name: str
    phrase: str
    who: str
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Countdown:
    """A milestone in brief.

    Attributes:
        look: a tone's name, or ``off`` for what is cancelled, withdrawn or has no date.
        said: in a word what it is, when that is not a matter of days: ``done``; else "".
        counts: its live dates in the order in which they end.
    """

    title: str
    look: str
    colour: str
    said: str
    counts: tuple[Count, ...]

    def value(self, *, by_date: bool = False) -> str:
        """What a badge says."""
        if self.said:
            return self.said
        texts = list(dict.fromkeys(one.name if by_date else one.short for one in self.counts))
        more = len(texts) - MOST_WINDOWS
        return " / ".join(texts[:MOST_WINDOWS]) + (f" and {more} more" if more > 0 else "")

    def words(self) -> str:
        """The same for those who do not see it, with the dates and who gave them."""
        dates = [
            one.phrase + (f" – {one.who}" if one.who else "") + ("" if self.said else f": {one.short}")
            for one in self.counts
        ]
        return f"{self.title}: {', '.join(filter(None, (self.said, '; '.join(dates))))}"


def countdown_of(record: Record, now: datetime) -> Countdown:
    """How far away it is at ``now``, an aware UTC instant."""
    stated, standing = stated_windows(record.milestone), record.standing
    said, tone = "", _tone(stated, now) if stated else None
    if standing.done_on is not None:
        said, tone = "done", Tone.DONE
    elif standing.cancelled or record.withdrawn:
        said, tone = "cancelled" if standing.cancelled else "withdrawn", None
    elif not stated:
        said = "no date"
    look = LOOKS[tone] if tone else NEUTRAL
    return Countdown(
        title=line(record.milestone.title),
        look=tone.value if tone else "off",
        colour=look.strong,
        said=said,
        counts=tuple(_counts(stated, now)),
    )


def svg(label: str, value: str, colour: str, words: str) -> bytes:
    """A badge.

    Args:
        label: at the left; "" for none.
        colour: behind the value; white text on it can be read.
        words: what a screen reader says.
    """
    left, right = (_width(label) if label else 0), _width(value)
    width, title = left + right, quoteattr(words)
    label_box = f'<path fill="#3d434c" d="M0 0h{left}v{_HEIGHT}H0z"/>' if label else ""
    made = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}"'
        f' role="img" aria-label={title}>'
        f"<title>{escape(words)}</title>"
        f'<clipPath id="r"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)">{label_box}'
        f'<path fill="{colour}" d="M{left} 0h{right}v{_HEIGHT}H{left}z"/></g>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="{_SIZE}">'
        f"{_svg_text(label, 0, left)}{_svg_text(value, left, right)}</g></svg>\n"
    )
    return made.encode()


@needs(Scope.FEED)
async def badge(request: Request) -> Response:
    """``/badges/{timeline}/{name}.svg``; ``?show=date`` for the date, ``?text=`` for what is at the left."""
    site, params = site_of(request), request.query_params
    if params.get("show", "days") not in ("days", "date"):
        raise RequestRefused(400, "show is days or date")
    now = site.clock.now()
    found = countdown_of(await _record(request), now)
    label = cut(line(params.get("text", found.title)), MAX_LABEL)
    value = found.value(by_date=params.get("show") == "date")
    content = svg(label, value, found.colour, found.words())
    etag, cache = etag_of(content), _cache(request)
    made = answer(request, content, kind="image/svg+xml", etag=etag, cache=cache)
    # Else no page of others could show it.
    made.headers["cross-origin-resource-policy"] = "cross-origin"
    return made


@needs(Scope.FEED)
async def embed(request: Request) -> Response:
    """``/embed/{timeline}/{name}``: a small page that a page of the sites in ``web.embed`` may have in it."""
    site = site_of(request)
    record = await _record(request)
    now = site.clock.now()
    today = local_date(now, record.milestone.zone)
    found = countdown_of(record, now)
    made = await asyncio.to_thread(
        page,
        request,
        "embed.html",
        countdown=found,
        done_on=day_text(record.standing.done_on) if record.standing.done_on else "",
        page=site.address(f"/milestones/{record.id}"),
        today=today.isoformat(),
        today_text=day_text(today),
    )
    # Where this is said, X-Frame-Options is not looked at (CSP level 3, frame-ancestors).
    sites = " ".join(site.web.embed) or "'none'"
    made.headers["content-security-policy"] = (
        f"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {sites}"
    )
    made.headers["cache-control"] = _cache(request)
    if site.web.embed:
        made.headers["cross-origin-resource-policy"] = "cross-origin"
    return made


def _cache(request: Request) -> str:
    """It is shown within pages of others and kept for a short while, by all if anybody may have it."""
    may_all = site_of(request).web.access.anonymous >= Scope.FEED
    return f"{'public' if may_all else 'private'}, max-age={FRESH_S}"


async def _record(request: Request) -> Record:
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    record = await site_of(request).ledger.record(name)
    if record is None:
        raise RequestRefused(404, f"no milestone {name[:200]!r} is known")
    return record


def _counts(stated: Sequence[StatedWindow], now: datetime) -> Iterator[Count]:
    for one in stated:
        claim = one.claims[0]
        name = deadline_name(claim.deadline)
        yield Count(
            short=_short_status(one, now) or name,
            name=name,
            phrase=deadline_phrase(claim.deadline, claim.reading),
            who=listing([source.brief for source in accounts_of(one)]),
            look=_tone([one], now).value,
        )


def _short_status(stated: StatedWindow, now: datetime) -> str:
    """``due in 37 days`` as ``37 days``, ``passed 55 days ago`` as ``55 days past``."""
    text = status_of(stated.claims, stated.window, now)
    text = text.replace("passed yesterday", f"passed {count(1, 'day')} ago")
    text = re.sub("^passed (.+) ago", r"\1 past", text)
    return text.removeprefix("due in ").removeprefix("due ")


def _tone(stated: Sequence[StatedWindow], now: datetime) -> Tone:
    if any(one.window.ends is not None and one.window.ends <= now for one in stated):
        return Tone.LATE
    days = [left for one in stated if (left := days_until(one.window, now)) is not None]
    return Tone.SOON if days and min(days) <= SOON_DAYS else Tone.CALM


def _svg_text(text: str, left: int, width: int) -> str:
    if not text:
        return ""
    return (
        f'<text x="{left + _PADDING}" y="14" textLength="{width - 2 * _PADDING}"'
        f' lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    )


def _width(text: str) -> int:
    """Of a text with its padding, in pixels."""
    letters = (
        _WIDE if east_asian_width(one) in "WF" else _NARROW if one in " .,:;'|!/iIjlt" else _LETTER
        for one in text
    )
    return round(sum(letters)) + 2 * _PADDING
