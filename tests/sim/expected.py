"""When each reminder is due, counted by the oracle itself: own calendar, own time zones, no product code."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from tests.sim.spec import DESK, LADDERS, LEADS, Ladder, Rules, Spec, days_of

DAY = timedelta(days=1)
AT = time(9, 0)
FAR = date(2029, 1, 1)


@dataclass(frozen=True, slots=True)
class Rung:
    """One reminder: of which window, at which offset, due when, for what cause."""

    window: str
    offset: str
    cause: str
    at: datetime


def window_of(deadline: str) -> str:
    """The half-open local bounds, as the product names a window."""
    first, last = days_of(deadline)
    return f"{first}/{last + DAY}"


def windows_of(spec: Spec) -> frozenset[str]:
    return frozenset(window_of(one) for one in spec.deadlines)


@lru_cache(maxsize=4096)
def rungs_of(spec: Spec) -> tuple[Rung, ...]:
    """All reminders of a milestone up to :data:`FAR`, by instant."""
    ladder = LADDERS[spec.ladder]
    found = [rung for one in dict.fromkeys(spec.deadlines) for rung in _of_window(spec, ladder, one)]
    return tuple(sorted(found, key=lambda one: (one.at, one.window, one.offset)))


def is_repeat(rung: Rung, spec: Spec | None) -> bool:
    """Whether a reminder is one of those that follow the last step of the ladder."""
    return (
        spec is not None
        and rung.cause == "overdue"
        and rung.offset not in {f"+{days}d" for days in LADDERS[spec.ladder].after}
    )


def receivers_of(cause: str, rules: Rules) -> tuple[str, ...]:
    """Who is told: leads hear of what is overdue and what moves, the desk of everything."""
    if rules.leads and cause in {"overdue", "moved"}:
        return (LEADS, DESK)
    return (DESK,)


def is_muted(at: datetime, rules: Rules) -> bool:
    return rules.mute_weekends and at.weekday() >= 5


def unmuted(at: datetime, rules: Rules) -> datetime:
    """The first instant from ``at`` on that is not muted."""
    if not is_muted(at, rules):
        return at
    monday = at.date() + DAY * (7 - at.weekday())
    return datetime.combine(monday, time.min, UTC)


def _of_window(spec: Spec, ladder: Ladder, deadline: str) -> list[Rung]:
    first, last = days_of(deadline)
    window = window_of(deadline)

    def rung(day: date, offset: str, cause: str) -> Rung:
        return Rung(window=window, offset=offset, cause=cause, at=instant(day, spec))

    found = [rung(last - DAY * days, f"-{days}d", "approaching") for days in ladder.before]
    if ladder.opens and first != last:
        found.append(rung(first, "opens", "opens"))
    if ladder.on_day:
        found.append(rung(last, "0d", "due"))
    found += [rung(last + DAY * days, f"+{days}d", "overdue") for days in ladder.after]
    days = ladder.after[-1] + ladder.nag
    while ladder.nag and last + DAY * days < FAR:
        found.append(rung(last + DAY * days, f"+{days}d", "overdue"))
        days += ladder.nag
    return found


def instant(day: date, spec: Spec) -> datetime:
    """Nine in the morning there, in UTC. No zone here changes its clocks at nine."""
    return datetime.combine(day, AT, UTC) - timedelta(minutes=offset_min(day, spec))


def offset_min(day: date, spec: Spec) -> int:
    """Minutes ahead of UTC at nine in the morning of ``day``."""
    match spec.zone:
        case "Asia/Baghdad":
            return 180 + spec.shift_min
        case "Europe/Berlin":
            return 120 if _last_sunday(day.year, 3) <= day < _last_sunday(day.year, 10) else 60
        case "America/New_York":
            return -240 if _sunday(day.year, 3, 2) <= day < _sunday(day.year, 11, 1) else -300
        case _:
            raise ValueError(f"the oracle does not know {spec.zone}")


def _sunday(year: int, month: int, number: int) -> date:
    first = date(year, month, 1)
    return first + DAY * ((6 - first.weekday()) % 7 + 7 * (number - 1))


def _last_sunday(year: int, month: int) -> date:
    last = date(year, month, monthrange(year, month)[1])
    return last - DAY * ((last.weekday() + 1) % 7)
