"""Why this message comes, how late, and what comes next: a sentence each."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from alertd.core.ledger.records import Delivery, Record, ScheduledReminder
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import Cause, labels_of
from alertd.core.planning.decide import CHANGES, NEWS
from alertd.core.routing.route import Match, Route, match_routes
from alertd.core.words import instant_text, listing, offset_words, span_text

LATE_FROM = timedelta(hours=1)
"""A reminder that is later than this says so."""


def late_sentence(owed: ScheduledReminder, milestone: Milestone, now: datetime) -> str:
    """How late this is and why, as far as that is known; "" when it is on time."""
    late = now - owed.at
    if late < LATE_FROM:
        return ""
    what = "message" if owed.cause in NEWS else "reminder"
    due = instant_text(owed.at, milestone.zone)
    because = _held_back(owed.reason)
    return f"This {what} was due on {due} and comes {span_text(late)} late{because and ': ' + because}."


def _held_back(reason: str) -> str:
    """Why it waited, from the reason in the ledger (core/planning/decide.py, core/routing/route.py)."""
    muted = "muted by mute_time_intervals: "
    inactive = "muted by active_time_intervals: not in "
    if reason.startswith(muted):
        return f"muted during {reason.removeprefix(muted)}"
    if reason.startswith(inactive):
        return f"sent only during {reason.removeprefix(inactive)}"
    if reason.startswith("muted by quiet: "):
        return f"held back in the quiet hours, {reason.removeprefix('muted by quiet: ')}"
    return reason if reason.startswith(("snoozed", "acknowledged")) else ""


def next_sentence(upcoming: ScheduledReminder | None, record: Record) -> str:
    """When the next reminder comes, and whose deadline it is about; "" once there is nothing to wait for."""
    if record.standing.closed:
        return ""
    if upcoming is None:
        return "No further reminder is planned."
    value = next((one for one in record.values if one.window_id == upcoming.window_id), None)
    which = offset_words(upcoming.offset)
    if value is not None and len(record.values) > 1 and value.accounts:
        which += f" given by {listing(value.accounts)}"
    return f"Next reminder: {instant_text(upcoming.wake_at, record.milestone.zone)}, {which}."


def why_sentence(
    owed: ScheduledReminder, milestone: Milestone, route: Route, delivery: Delivery, because: str = ""
) -> str:
    """By which route this receiver gets it, or in whose place, and what for.

    Args:
        because: what for; by default what the occurrence says.
    """
    labels = labels_of(milestone, owed.cause, owed.offset)
    match = next((one for one in match_routes(route, labels) if one.receiver == owed.receiver), None)
    because = because or _because(owed, milestone)
    if delivery.fallback_for:
        by = f" in place of {delivery.fallback_for}"
    elif match is None or owed.cause in CHANGES:
        by = ", which was told of it before" if owed.cause in NEWS else " by a route that has changed since"
    else:
        by = f" by {_path(match)}"
    receiver = delivery.receiver if delivery.fallback_for else owed.receiver
    return f"Sent to {receiver}{by}: {because}."


def _because(owed: ScheduledReminder, milestone: Milestone) -> str:
    match owed.cause:
        case Cause.MOVED:
            return "the deadline moved"
        case Cause.DONE:
            return "it is done"
        case Cause.ACKNOWLEDGED | Cause.CANCELLED:
            return "it follows what is said of it"
        case _:
            return f"{milestone.policy.words} reminds {offset_words(owed.offset)}"


def _path(match: Match) -> str:
    takes = listing([str(matcher) for matcher in match.matchers]) or "everything"
    return f"{route_name(match.path)}, which takes {takes}"


def route_name(path: str) -> str:
    """``route.routes[0].routes[2]`` as ``route 1.3``: the third below the first, as people count."""
    places = [str(int(number) + 1) for number in re.findall(r"\[([0-9]+)\]", path)]
    return f"route {'.'.join(places)}" if places else "the root route"
