"""Shows how far away a milestone is, in two or three words: as an SVG badge and as a page for an iframe.

Both show the state at the time of the request, and caches keep them for a few minutes. Neither contains a
script, and neither loads anything from another site.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.deadline import format_deadline, format_deadline_phrase
from alertd.core.ledger.records import Record
from alertd.core.message.message import Tone
from alertd.core.milestones.milestone import StatedWindow, list_stated_windows
from alertd.core.time.instant import to_local_date
from alertd.core.words import (
    count_days_until,
    describe_countdown,
    describe_doubt,
    format_day,
    join_with_and,
    measure_distance,
)
from alertd.notify.render.clean import clean_line, cut_text
from alertd.notify.render.palette import NEUTRAL, PALETTES
from alertd.web.feeds.cache import answer, make_etag
from alertd.web.server.access import RequestRefused, require_scope
from alertd.web.server.computing import compute
from alertd.web.server.context import find_site
from alertd.web.server.render import render_page

FRESH_S = 300
"""How long a cache may keep a badge, in seconds."""

SOON_DAYS = 7
MOST_WINDOWS = 2
MAX_LABEL = 60

_HEIGHT, _SIZE, _PADDING = 20, 11, 7
_WIDE, _NARROW, _LETTER = 12.0, 4.0, 6.9
"""The widths of a wide, a narrow and an average letter, in pixels at that font size.

The text is stretched to the sum of these widths, whatever font the browser has.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One date of a milestone, and how far away it is.

    Attributes:
        short: ``37 days`` or ``55 days past``; the date itself if it has no end.
        name: the date as it was given, ``September 2026``.
        phrase: the date in a phrase, ``by September 2026``.
        who: the sources that give the date; "" for none.
        look: the name of the tone of this date.
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
        look: the name of a tone, or ``off`` for a milestone that is cancelled, is withdrawn or has no date.
        colour: the colour of the badge, such as ``#1f6296``.
        said: the state in a word if it is not a number of days, such as ``done``; otherwise "".
        counts: the live dates, in the order of their ends.
    """

    title: str
    look: str
    colour: str
    said: str
    counts: tuple[Count, ...]

    def value(self, *, by_date: bool = False) -> str:
        """The text of a badge: the dates with ``by_date``, otherwise the days that are left."""
        if self.said:
            return self.said
        texts = list(dict.fromkeys(entry.name if by_date else entry.short for entry in self.counts))
        more = len(texts) - MOST_WINDOWS
        return " / ".join(texts[:MOST_WINDOWS]) + (f" and {more} more" if more > 0 else "")

    def words(self) -> str:
        """The same for screen readers, with the dates and their sources."""
        dates = [
            entry.phrase
            + (f" – {entry.who}" if entry.who else "")
            + ("" if self.said else f": {entry.short}")
            for entry in self.counts
        ]
        return f"{self.title}: {', '.join(filter(None, (self.said, '; '.join(dates))))}"


def make_countdown(record: Record, now: datetime) -> Countdown:
    """Make the countdown of a milestone at ``now``, an aware instant in UTC."""
    stated, status = list_stated_windows(record.milestone), record.status
    said, tone = "", _choose_tone(stated, now) if stated else None
    if status.done_on is not None:
        said, tone = "done", Tone.DONE
    elif status.cancelled or record.withdrawn:
        said, tone = "cancelled" if status.cancelled else "withdrawn", None
    elif not stated:
        said = "no date"
    palette = PALETTES[tone] if tone else NEUTRAL
    return Countdown(
        title=clean_line(record.milestone.title),
        look=tone.value if tone else "off",
        colour=palette.strong,
        said=said,
        counts=tuple(_make_counts(stated, now)),
    )


def draw_badge(label: str, value: str, colour: str, words: str) -> bytes:
    """Draw a badge as SVG, in UTF-8.

    Args:
        label: the text at the left; "" for none.
        colour: the background of the value; white text must be readable on it.
        words: the text for screen readers.
    """
    left, right = (_measure_width(label) if label else 0), _measure_width(value)
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
        f"{_draw_text(label, 0, left)}{_draw_text(value, left, right)}</g></svg>\n"
    )
    return made.encode()


@require_scope(Scope.FEED)
async def badge(request: Request) -> Response:
    """Draw the badge of a milestone (``/badges/{timeline}/{name}.svg``).

    ``?show=date`` shows the date instead of the days that are left. ``?text=`` replaces the text at the left.
    """
    site, params = find_site(request), request.query_params
    if params.get("show", "days") not in ("days", "date"):
        raise RequestRefused(400, "show is days or date")
    now = site.clock.now()
    found = make_countdown(await _find_record(request), now)
    label = cut_text(clean_line(params.get("text", found.title)), MAX_LABEL)
    value = found.value(by_date=params.get("show") == "date")
    content = draw_badge(label, value, found.colour, found.words())
    etag, cache = make_etag(content), _make_cache_control(request)
    made = answer(request, content, kind="image/svg+xml", etag=etag, cache=cache)
    # Without this header, other sites could not show the badge.
    made.headers["cross-origin-resource-policy"] = "cross-origin"
    return made


@require_scope(Scope.FEED)
async def embed(request: Request) -> Response:
    """Show a countdown (``/embed/{timeline}/{name}``) that the sites in ``web.embed`` may show in a frame."""
    site = find_site(request)
    record = await _find_record(request)
    now = site.clock.now()
    today = to_local_date(now, record.milestone.zone)
    found = make_countdown(record, now)
    made = await compute(
        render_page,
        request,
        "embed.html",
        countdown=found,
        done_on=format_day(record.status.done_on) if record.status.done_on else "",
        page=site.address(f"/milestones/{record.id}"),
        today=today.isoformat(),
        today_text=format_day(today),
    )
    # Browsers ignore X-Frame-Options if the policy has frame-ancestors (CSP level 3, frame-ancestors).
    sites = " ".join(site.web.embed) or "'none'"
    made.headers["content-security-policy"] = (
        f"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {sites}"
    )
    made.headers["cache-control"] = _make_cache_control(request)
    if site.web.embed:
        made.headers["cross-origin-resource-policy"] = "cross-origin"
    return made


def _make_cache_control(request: Request) -> str:
    """Make the Cache-Control header. Shared caches may keep what anonymous requests may read."""
    may_all = find_site(request).web.access.anonymous >= Scope.FEED
    return f"{'public' if may_all else 'private'}, max-age={FRESH_S}"


async def _find_record(request: Request) -> Record:
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    record = await find_site(request).ledger.read_record(name)
    if record is None:
        raise RequestRefused(404, f"no milestone {name[:200]!r} is known")
    return record


def _make_counts(stated: Sequence[StatedWindow], now: datetime) -> Iterator[Count]:
    for window in stated:
        claim = window.claims[0]
        name = format_deadline(claim.deadline)
        yield Count(
            short=_shorten_status(window, now) or name,
            name=name,
            phrase=format_deadline_phrase(claim.deadline, claim.reading),
            who=join_with_and([source.brief for source in window.accounts]),
            look=_choose_tone([window], now).value,
        )


def _shorten_status(stated: StatedWindow, now: datetime) -> str:
    """Say where a window stands in short: ``37 days``, or ``55 days past``."""
    found = measure_distance(stated.window, now)
    return (
        ""
        if found is None
        else describe_countdown(found, stated.claims) + describe_doubt(found, stated.claims)
    )


def _choose_tone(stated: Sequence[StatedWindow], now: datetime) -> Tone:
    if any(window.window.ends is not None and window.window.ends <= now for window in stated):
        return Tone.LATE
    days = [left for window in stated if (left := count_days_until(window.window, now)) is not None]
    return Tone.SOON if days and min(days) <= SOON_DAYS else Tone.CALM


def _draw_text(text: str, left: int, width: int) -> str:
    if not text:
        return ""
    return (
        f'<text x="{left + _PADDING}" y="14" textLength="{width - 2 * _PADDING}"'
        f' lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    )


def _measure_width(text: str) -> int:
    """Measure the width of a text with its padding, in pixels."""
    letters = (
        _WIDE if east_asian_width(letter) in "WF" else _NARROW if letter in " .,:;'|!/iIjlt" else _LETTER
        for letter in text
    )
    return round(sum(letters)) + 2 * _PADDING
