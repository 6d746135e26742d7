"""Reads the query of the timeline page's address, and makes addresses with other queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urlencode

from alertd.core.routing.matcher import Matcher, MatchOp, parse_matcher
from alertd.errors import MatcherError
from alertd.web.timeline.axis import Zoom
from alertd.web.timeline.entries import FILTERS

MAX_TEXT = 200
MAX_PAGE = 10_000
ORDERS = ("timeline", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The query of the timeline page.

    Attributes:
        label: the label as the reader has written it; ``matcher`` is its meaning.
        zoom: None for the default zoom.
        start: the first day of the axis; None for an axis near today.
        refusal: the parameters that were ignored and why, as a sentence without its full stop.
    """

    text: str = ""
    label: str = ""
    matcher: Matcher | None = None
    state: str = ""
    order: str = ORDERS[0]
    zoom: Zoom | None = None
    start: date | None = None
    page: int = 1
    refusal: str = ""

    @property
    def is_narrow(self) -> bool:
        """Whether the query filters the milestones."""
        return bool(self.text or self.label or self.state)

    def href(self, **changes: object) -> str:
        """Make the relative address of this query with changes, by default for its first page."""
        other = replace(self, **{"page": 1, **changes})  # type: ignore[arg-type]
        asked = {
            "text": other.text,
            "label": other.label,
            "state": other.state,
            "order": other.order if other.order != ORDERS[0] else "",
            "zoom": other.zoom.value if other.zoom else "",
            "from": other.start.isoformat() if other.start else "",
            "page": str(other.page) if other.page > 1 else "",
        }
        return "?" + urlencode({name: value for name, value in asked.items() if value})


def read_query(params: Mapping[str, str]) -> Query:
    """Read the parameters of an address. Invalid ones are ignored, and ``refusal`` reports them."""
    refusals: list[str] = []
    label = params.get("label", "").strip()[:MAX_TEXT]
    matcher = None
    if label:
        try:
            matcher = parse_matcher(label)
        except MatcherError as error:
            refusals.append(f"The label {label!r} cannot be read: {error}")
        else:
            if matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
                # Only the configuration may use regular expressions: a reader could send a very slow one.
                refusals.append("A label is asked for by = or !=, as in country=iraq")
                matcher = None
    state = params.get("state", "")
    if state and state not in FILTERS:
        refusals.append(f"There is no state {state[:40]!r}")
        state = ""
    return Query(
        text=" ".join(params.get("text", "").split())[:MAX_TEXT],
        label=label,
        matcher=matcher,
        state=state,
        order=params.get("order", "") if params.get("order") in ORDERS else ORDERS[0],
        zoom=_read_zoom(params.get("zoom", ""), refusals),
        start=_read_day(params.get("from", ""), refusals),
        page=_read_page(params.get("page", "")),
        refusal="; ".join(refusals),
    )


def _read_zoom(text: str, refusals: list[str]) -> Zoom | None:
    try:
        return Zoom(text) if text else None
    except ValueError:
        refusals.append(f"There is no zoom {text[:40]!r}")
        return None


def _read_day(text: str, refusals: list[str]) -> date | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        day = date.max
    if day is not None and not 2 <= day.year <= 9990:
        refusals.append(f"{text[:40]!r} is no date; write one such as 2026-09-30")
        return None
    return day


def _read_page(text: str) -> int:
    return min(max(int(text), 1), MAX_PAGE) if text.isascii() and text.isdigit() and len(text) < 9 else 1
