"""Computes what is drawn on the axis for a claim: bars, ticks, tails, ghosts. The template only draws them.

Rules that hold here:
- A window is drawn at its true width: a month is as wide as a month. Only a day or an instant is a tick.
- A side without a bound fades out. An approximate end (``~``) is soft. An uncertain window (``?``) is marked.
- A window beyond the axis is never moved onto it. An arrow shows on which side it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline import Deadline, Qualifier, Reading, Window, compute_window
from alertd.core.time.instant import to_instant
from alertd.web.timeline.axis import Axis

NOON = time(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar on the axis; ``x`` and ``width`` are percentages, and the bar is within 0 to 100.

    Attributes:
        edges: the name of the mask of its edges: ``soft``, ``soft-left`` or ``soft-right`` for an approximate
            one, ``fade-left``, ``fade-right`` or ``fade`` for one without a bound; "" for sharp edges.
    """

    x: float
    width: float
    edges: str = ""

    @property
    def end(self) -> float:
        return round(self.x + self.width, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Everything that is drawn for a claim. Places are percentages; None or () means that nothing is drawn.

    Attributes:
        bars: the bars of the window; several for a set of choices.
        ticks: the ticks for days and instants.
        hull: the range from the first to the last choice of a set.
        unsure: the place of the mark of an uncertain window.
        tail: the range from the end of an overdue window until now.
        done: the place of the day on which the milestone was done.
        ghosts, ghost_ticks: the windows before the last move.
        arrow: from the ghost to the present window.
        beyond: ``left`` or ``right``, the side on which a window is that is not on the axis; otherwise "".
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
    before: tuple[Window, ...] = (),
) -> Drawing:
    """Compute the drawing of a claim.

    Args:
        window: the window of the claim.
        overdue: whether a tail leads from the end of the window to now.
        done_on: the day on which the milestone was done; None if it is not done.
        before: the windows that this window has replaced.
    """
    parts = [compute_window(choice, window.zone, reading) for choice in deadline.choices] or [window]
    qualifiers = [choice.qualifier for choice in deadline.choices] or [deadline.qualifier]
    bars: list[Bar] = []
    ticks: list[float] = []
    for part, qualifier in zip(parts, qualifiers, strict=True):
        _add(bars, ticks, part.begins, part.ends, axis, soft=qualifier in _SOFT)
    ghosts, ghost_ticks, arrow = _draw_move(before, window, axis)
    return Drawing(
        bars=tuple(bars),
        ticks=tuple(ticks),
        hull=_make_bar(window.begins, window.ends, axis) if len(parts) > 1 else None,
        unsure=_place_unsure(window, axis)
        if Qualifier.UNCERTAIN.combine(deadline.qualifier) is deadline.qualifier
        else None,
        tail=_make_bar(window.ends, axis.now, axis) if overdue else None,
        done=_place_done(done_on, window.zone, axis),
        ghosts=ghosts,
        ghost_ticks=ghost_ticks,
        arrow=arrow,
        beyond=_find_side(window, axis) if not bars and not ticks else "",
    )


_SOFT = (Qualifier.APPROXIMATE, Qualifier.BOTH)
_DAY_LONG = timedelta(hours=26)
"""The length of the longest day: clocks may be put back by up to two hours."""


def _add(
    bars: list[Bar],
    ticks: list[float],
    begins: datetime | None,
    ends: datetime | None,
    axis: Axis,
    *,
    soft: bool = False,
) -> None:
    """Add the bar or the tick of a range, if any part of it is on the axis."""
    if not axis.touches(begins, ends):
        return
    if begins is not None and ends is not None and ends - begins <= _DAY_LONG:
        place = axis.place(begins + (ends - begins) / 2)
        if 0 <= place <= 100:
            ticks.append(round(place, 2))
        return
    bar = _make_bar(begins, ends, axis, soft=soft)
    if bar is not None:
        bars.append(bar)


def _make_bar(
    begins: datetime | None, ends: datetime | None, axis: Axis, *, soft: bool = False
) -> Bar | None:
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
        # A bar is cut off at the end of the axis, and that edge is sharp.
        sides = [side for side, seen in (("left", left >= 0), ("right", right <= 100)) if seen]
        kind = "soft"
    else:
        kind = ""
    edges = "" if not sides else kind if len(sides) == 2 else f"{kind}-{sides[0]}"
    # Subtract rounded ends, so that there is no gap between adjacent windows.
    return Bar(x=round(x, 2), width=round(round(end, 2) - round(x, 2), 2), edges=edges)


def _place_unsure(window: Window, axis: Axis) -> float | None:
    """Find the middle of the visible part of a window, where the mark of an uncertain window is."""
    bar = _make_bar(window.begins, window.ends, axis)
    return None if bar is None else round(bar.x + bar.width / 2, 2)


def _place_done(day: date | None, zone: ZoneInfo, axis: Axis) -> float | None:
    if day is None:
        return None
    place = axis.place(to_instant(datetime.combine(day, NOON), zone))
    return round(place, 2) if 0 <= place <= 100 else None


def _draw_move(
    before: tuple[Window, ...], window: Window, axis: Axis
) -> tuple[tuple[Bar, ...], tuple[float, ...], tuple[float, float] | None]:
    """Draw the previous windows, and the arrow from the end of the last of them to the present window."""
    bars: list[Bar] = []
    ticks: list[float] = []
    arrow = None
    for begins, ends in ((replaced.begins, replaced.ends) for replaced in before):
        _add(bars, ticks, begins, ends, axis)
        if ends is not None and window.ends is not None:
            start, end = _find_edge(begins, ends, axis), _find_edge(window.begins, window.ends, axis)
            if abs(end - start) > 0.2 and (0 <= start <= 100 or 0 <= end <= 100):
                arrow = (round(min(max(start, 0), 100), 2), round(min(max(end, 0), 100), 2))
    return tuple(bars), tuple(ticks), arrow


def _find_edge(begins: datetime | None, ends: datetime, axis: Axis) -> float:
    """Find the place where an arrow starts or ends: the end of a bar, or the middle of a tick."""
    if begins is not None and ends - begins <= _DAY_LONG:
        return axis.place(begins + (ends - begins) / 2)
    return axis.place(ends)


def _find_side(window: Window, axis: Axis) -> str:
    if window.ends is not None and window.ends < axis.begins:
        return "left"
    return "right" if window.begins is not None and window.begins >= axis.ends else ""
