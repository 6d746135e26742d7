"""Gathers everything that alertd can explain about a milestone and its reminders, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from alertd.core.config import Config, Definitions
from alertd.core.ledger.records import Attempt, Delivery, HistoryEntry, Record, ScheduledReminder
from alertd.core.milestones.milestone import Milestone, State, compute_state, list_operative_windows
from alertd.core.milestones.occurrence import list_occurrences
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.planning.decide import is_acknowledged
from alertd.core.planning.plan import Planned, expand, plan, plan_occurrence
from alertd.core.routing.route import find_deferral
from alertd.core.time.duration import Duration
from alertd.core.time.interval import SEARCH_BOUND
from alertd.core.words import describe_duration, join_with_and, split_duration

INSTANCES_AHEAD = timedelta(days=400)
NAGS_AHEAD = timedelta(days=365)
_BEGINNING = datetime(3, 1, 1, tzinfo=UTC)
_END = datetime(9900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What the ledger holds about a milestone.

    Attributes:
        status: the actions of people that are in force.
        owed: the scheduled reminders by key.
        deliveries: the newest first, each with its attempts and its members.
        history: the entries of the milestone's history.
        dates: the local done dates of all milestones by id, from which relative deadlines are computed.
    """

    status: MilestoneStatus = NO_ACTIONS
    owed: Mapping[str, ScheduledReminder] = field(default_factory=dict)
    deliveries: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]] = ()
    history: Sequence[HistoryEntry] = ()
    dates: Mapping[str, date] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A milestone at an instant, and why each of its reminders goes to its receiver.

    Attributes:
        file: the definition file, relative to the configuration folder.
        at: the instant of the explanation, an aware UTC instant.
        policy_from: where its policy is written, in words.
        reminders: all reminders to all receivers, each at the instant at which it is sent.
        overtaken: the keys of reminders that a mute defers until a later one is sent instead.
        series: ids of the next instances, if the caller asked for a series and this is its first one.
        done: the contents of the ledger; None if it was not read.
        is_kept: the milestone's file cannot be read at the moment, so this is the version in the ledger.
    """

    milestone: Milestone
    file: str
    at: datetime
    state: State
    policy_from: str
    reminders: tuple[Planned, ...]
    overtaken: frozenset[str] = frozenset()
    series: tuple[str, ...] = ()
    done: Done | None = None
    is_kept: bool = False

    @property
    def done_on(self) -> date | None:
        """The local date on which the milestone was done; None if the ledger has none or was not read."""
        return self.done.status.done_on if self.done else None

    @property
    def next(self) -> Planned | None:
        """The first reminder to send after ``at``; None if there is none. A snooze may still defer it."""
        status = self.done.status if self.done else NO_ACTIONS
        if status.closed:
            return None
        windows = [stated.window.id for stated in list_operative_windows(self.milestone)]
        coming = [
            planned
            for planned in self.reminders
            if planned.at > self.at
            and planned.key not in self.overtaken
            and not is_acknowledged(status, windows, planned.at)
        ]
        return min(coming, key=lambda planned: planned.at, default=None)


def explain(  # noqa: PLR0917  all of them describe the milestone
    milestone: Milestone,
    definitions: Definitions,
    config: Config,
    at: datetime,
    done: Done | None,
    kept_from: str = "",
) -> Explanation:
    """Explain a milestone that does not recur, or a single instance of a series.

    Args:
        milestone: relative claims resolved.
        at: an aware UTC instant.
        done: the contents of the ledger; None if it was not read.
        kept_from: the name of the milestone's file, if that file cannot be read and ``milestone`` is the
            version in the ledger; "" otherwise.
    """
    ends = [stated.window.ends for stated in list_operative_windows(milestone)]
    until = min(max([at, *(end for end in ends if end)]), _END) + NAGS_AHEAD
    sent = {planned.key for planned in plan([milestone], config.route, _BEGINNING, until + SEARCH_BOUND)}
    reminders = [
        _defer(planned)
        for occurrence in list_occurrences(milestone, _BEGINNING, until)
        for planned in plan_occurrence(milestone, occurrence, config.route)
    ]
    file = kept_from or next(
        (timeline.file for timeline in definitions.timelines if timeline.id == milestone.timeline), ""
    )
    return Explanation(
        milestone=milestone,
        file=file,
        at=at,
        state=compute_state(milestone, done.status if done else NO_ACTIONS, at),
        policy_from=_locate_policy(milestone.policy, config, file),
        reminders=tuple(reminders),
        overtaken=frozenset(planned.key for planned in reminders if planned.key not in sent),
        done=done,
        is_kept=bool(kept_from),
    )


def find_instance(milestone: Milestone, name: str, at: datetime) -> tuple[Milestone | None, tuple[str, ...]]:
    """Find the instance of a series that ``name`` means, and the ids of the instances that come next.

    A milestone that does not recur is its only instance. The id of a series without a date means the next
    instance.

    Args:
        name: the full id of the milestone or of an instance.
        at: an aware UTC instant.
    """
    if milestone.repeat is None:
        return milestone, ()
    _, at_sign, day = name.partition("@")
    if at_sign:
        try:
            around = datetime.fromisoformat(day).replace(tzinfo=UTC)
        except ValueError:
            return None, ()
        found = expand(milestone, around - timedelta(days=2), around + timedelta(days=2))
        return next(
            (instance for instance in found if instance.id == f"{get_series_id(milestone.id)}@{day}"), None
        ), ()
    ahead = [
        instance
        for instance in expand(milestone, at, at + INSTANCES_AHEAD)
        if instance.id.rpartition("@")[2] >= f"{at:%Y-%m-%d}"
    ]
    return (ahead[0] if ahead else None), tuple(instance.id for instance in ahead)


def find_kept_instance(
    kept: Mapping[str, Record], name: str, at: datetime
) -> tuple[Record | None, tuple[str, ...]]:
    """Find the instance that ``name`` means in the records of the ledger, as :func:`find_instance` does.

    The ledger holds the instances of a series, and not the series itself.

    Args:
        kept: records by full id.
        name: the full id of a milestone, a series or an instance.
        at: an aware UTC instant.
    """
    if name in kept:
        return kept[name], ()
    instances = sorted(instance for instance in kept if get_series_id(instance) == name)
    ahead = [instance for instance in instances if instance.rpartition("@")[2] >= f"{at:%Y-%m-%d}"]
    found = ahead[:1] or instances[-1:]
    return (kept[found[0]] if found else None), tuple(ahead)


def describe_policy(policy: Policy) -> str:
    """Describe a policy in a sentence without its full stop."""
    parts = []
    if policy.opens:
        parts.append("as the window opens")
    if policy.before:
        parts.append(f"{_describe_durations(policy.before)} before")
    if policy.on_day:
        parts.append("on the day")
    if policy.after:
        parts.append(f"{_describe_durations(policy.after)} after")
    if policy.then_every:
        parts.append(f"then every {describe_duration(policy.then_every)}")
    when = "; ".join(parts) or "never"
    roll = f", {policy.roll.value} when nobody works by the calendar {policy.calendar.name}"
    return f"{when}; at {policy.at:%H:%M}" + (roll if policy.roll.value != "none" else "")


def _describe_durations(durations: Sequence[Duration]) -> str:
    parts = [split_duration(duration) for duration in durations]
    units = {part[0][1] for part in parts if len(part) == 1}
    if len(parts) > 1 and len(units) == 1 and all(len(part) == 1 for part in parts):
        # "90, 30, 7 and 1 days" reads better than the unit four times.
        return join_with_and([f"{part[0][0]:,}" for part in parts]) + f" {units.pop()}s"
    return join_with_and([describe_duration(duration) for duration in durations])


def _locate_policy(policy: Policy, config: Config, file: str) -> str:
    named = config.policies.get(policy.name)
    if named is None:
        return f"written in {file}" if policy != Policy() else "built in"
    if named == Policy():
        return "as built in"
    return f"alertd.yaml, policies.{policy.name}" if named == policy else f"written in {file}"


def _defer(planned: Planned) -> Planned:
    found = find_deferral(planned.match, planned.at)
    return replace(planned, at=found.until, muted_by=found.by) if found else planned
