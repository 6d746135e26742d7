"""What comes next by the files alone: the first reminders after an instant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.plan import Planned, plan
from alertd.core.routing.route import Route

LOOK_AHEAD = timedelta(days=400)


def next_planned(milestones: Iterable[Milestone], route: Route, now: datetime) -> tuple[Planned, ...]:
    """All that is sent at the next instant at which anything is; () for nothing in 400 days."""
    planned = plan(milestones, route, now, now + LOOK_AHEAD)
    return tuple(one for one in planned if one.at == planned[0].at)
