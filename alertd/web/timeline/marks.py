"""What is drawn for one claim on the axis: bars, ticks, tails, ghosts. Values only; the template draws them.

Rules that hold here:
- a window is drawn as a window: what is a month is as wide as a month, only a day or an instant is a tick;
- what has no bound fades out, an approximate end (``~``) is soft, what is uncertain (``?``) is marked;
- what is not on the axis is never moved onto it: an arrow says on which side it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline import Deadline, Qualifier, Reading, Window, window_of
from alertd.core.time.instant import to_instant
from alertd.web.timeline.axis import Axis

NOON = time(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A span of the axis; ``x`` and ``width`` in percent, all of it within 0 to 100.

    Attributes:
        edges: how its edges look, the name of a mask: ``soft``, ``soft-left``, ``soft-right`` for one that is
            approximate, ``fade-left``, ``fade-right``, ``fade`` for one without a bound; "" for sharp ones.
    """

    x: float
    width: float
    edges: str = ""

    @property
    def end(self) -> float:
        return round(self.x + self.width, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """All that is drawn for a claim; every place in percent, None or () for what is not there.

    Attributes:
        bars: the window; several for a set of choices.
        ticks: for days and instants.
        hull: from the first to the last of several.
        unsure: where the mark of what is uncertain is.
        tail: from the end of what is overdue to now.
        done: where it came about.
        ghosts, ghost_ticks: where it was before it moved.
        arrow: from the ghost to where it is now.
        beyond: ``left`` or ``right``: nothing of it is on the axis, that is where it is.
    """

    bars: tuple[Bar, ...] = ()
    ticks: tuple[float, ...] = ()
    hull: Bar | None = None
    unsure: float | None = None
    tail: Bar | None = None
    done: float | None = None
    ghosts: tuple[Bar, ...] = ()
    ghost_ticks: tuple[float, ...] = ()
    arrow: tuple[float, float] | None = None
    beyond: str = ""


def draw(
    deadline: Deadline,
    reading: Reading,
    window: Window,
    axis: Axis,
    *,
    overdue: bool = False,
    done_on: date | None = None,
    before: tuple[str, ...] = (),
) -> Drawing:
    """A claim as it is drawn.

    Args:
        window: the claim's.
        overdue: a tail leads from its end to now.
        before: ids of the windows that it has taken the place of.
    """
    parts = [window_of(one, window.zone, reading) for one in deadline.choices] or [window]
    qualifiers = [one.qualifier for one in deadline.choices] or [deadline.qualifier]
    bars: list[Bar] = []
    ticks: list[float] = []
    for part, qualifier in zip(parts, qualifiers, strict=True):
        _add(bars, ticks, part.begins, part.ends, axis, soft=qualifier in _SOFT)
    ghosts, ghost_ticks, arrow = _moved(before, window, axis)
    return Drawing(
        bars=tuple(bars),
        ticks=tuple(ticks),
        hull=_bar(window.begins, window.ends, axis) if len(parts) > 1 else None,
        unsure=_unsure(window, axis)
        if Qualifier.UNCERTAIN.joined(deadline.qualifier) is deadline.qualifier
        else None,
        tail=_bar(window.ends, axis.now, axis) if overdue else None,
        done=_done(done_on, window.zone, axis),
        ghosts=ghosts,
        ghost_ticks=ghost_ticks,
        arrow=arrow,
        beyond=_beyond(window, axis) if not bars and not ticks else "",
    )


_SOFT = (Qualifier.APPROXIMATE, Qualifier.BOTH)
_DAY_LONG = timedelta(hours=26)
"""A day and what a clock may be put back in it."""


def bounds_of(window_id: str, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """The half-open bounds of a window, as instants, read off its id."""
    first, slash, last = window_id.partition("/")
    if not slash:
        at = _instant(first, zone)
        return at, at
    return _instant(first, zone), _instant(last, zone)


def _instant(text: str, zone: ZoneInfo) -> datetime | None:
    if text == "..":
        return None
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC) if at.tzinfo else to_instant(at, zone)


def _add(
    bars: list[Bar],
    ticks: list[float],
    begins: datetime | None,
    ends: datetime | None,
    axis: Axis,
    *,
    soft: bool = False,
) -> None:
    """The bar or the tick of a span, if any of it is on the axis."""
    if not axis.touches(begins, ends):
        return
    if begins is not None and ends is not None and ends - begins <= _DAY_LONG:
        place = axis.place(begins + (ends - begins) / 2)
        if 0 <= place <= 100:
            ticks.append(round(place, 2))
        return
    bar = _bar(begins, ends, axis, soft=soft)
    if bar is not None:
        bars.append(bar)


def _bar(begins: datetime | None, ends: datetime | None, axis: Axis, *, soft: bool = False) -> Bar | None:
    left = axis.place(begins) if begins is not None else None
    right = axis.place(ends) if ends is not None else None
    x = max(left, 0.0) if left is not None else 0.0
    end = min(right, 100.0) if right is not None else 100.0
    if end <= x and not (end == x and 0 < x < 100):
        return None
    sides = []
    if left is None or right is None:
        sides = [side for side, there in (("left", left), ("right", right)) if there is None]
        kind = "fade"
    elif soft:
        # An edge that lies beyond the axis is not seen, and so is not soft.
        sides = [side for side, seen in (("left", left >= 0), ("right", right <= 100)) if seen]
        kind = "soft"
    else:
        kind = ""
    edges = "" if not sides else kind if len(sides) == 2 else f"{kind}-{sides[0]}"
    # Of rounded ends, so that two windows that follow each other leave no gap.
    return Bar(x=round(x, 2), width=round(round(end, 2) - round(x, 2), 2), edges=edges)


def _unsure(window: Window, axis: Axis) -> float | None:
    """In the middle of what is seen of it; for a tick, where that is."""
    bar = _bar(window.begins, window.ends, axis)
    return None if bar is None else round(bar.x + bar.width / 2, 2)


def _done(day: date | None, zone: ZoneInfo, axis: Axis) -> float | None:
    if day is None:
        return None
    place = axis.place(to_instant(datetime.combine(day, NOON), zone))
    return round(place, 2) if 0 <= place <= 100 else None


def _moved(
    before: tuple[str, ...], window: Window, axis: Axis
) -> tuple[tuple[Bar, ...], tuple[float, ...], tuple[float, float] | None]:
    """Where it was, and the arrow from the end of the last of it to its own end."""
    bars: list[Bar] = []
    ticks: list[float] = []
    arrow = None
    for begins, ends in _bounds(before, window.zone):
        _add(bars, ticks, begins, ends, axis)
        if ends is not None and window.ends is not None:
            start, end = _edge(begins, ends, axis), _edge(window.begins, window.ends, axis)
            if abs(end - start) > 0.2 and (0 <= start <= 100 or 0 <= end <= 100):
                arrow = (round(min(max(start, 0), 100), 2), round(min(max(end, 0), 100), 2))
    return tuple(bars), tuple(ticks), arrow


def _bounds(ids: tuple[str, ...], zone: ZoneInfo) -> Iterator[tuple[datetime | None, datetime | None]]:
    for one in ids:
        yield bounds_of(one, zone)


def _edge(begins: datetime | None, ends: datetime, axis: Axis) -> float:
    """Where an arrow starts or ends: at the end of a bar, in the middle of a tick."""
    if begins is not None and ends - begins <= _DAY_LONG:
        return axis.place(begins + (ends - begins) / 2)
    return axis.place(ends)


def _beyond(window: Window, axis: Axis) -> str:
    if window.ends is not None and window.ends < axis.begins:
        return "left"
    return "right" if window.begins is not None and window.begins >= axis.ends else ""
