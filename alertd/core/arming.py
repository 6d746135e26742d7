"""Arming: what a milestone's ladder makes owed now, beside what was owed before.

Rules that hold here:
- what was bound, superseded, suppressed or expired is never owed again; what was cancelled may be;
- what is past is sent late only to whom it is news: within the catch-up time, unless a moved message
  says it all or the rung is new in the ladder of somebody who has been told already;
- what waits for the end of a mute or a snooze goes on waiting, unless the mute is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alertd.core.config import Config
from alertd.core.delivery import NEWS
from alertd.core.ledger import Owed, OwedState
from alertd.core.milestone import Milestone
from alertd.core.occurrence import Cause, labels_of, occurrences
from alertd.core.plan import receivers_of
from alertd.core.route import match_routes, muted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearmed:
    """What is to be written: owed anew or otherwise than before, and keys that are owed no more, with why."""

    owed: tuple[Owed, ...]
    cancelled: tuple[tuple[str, str], ...]


def rearmed(  # noqa: PLR0917  all of them say from what to what
    milestone: Milestone,
    owed: Sequence[Owed],
    told: frozenset[str],
    config: Config,
    now: datetime,
    until: datetime,
) -> Rearmed:
    """How what is owed differs from what should be.

    Args:
        milestone: relative claims resolved, recurrence expanded.
        owed: all that is or was owed for it.
        told: receivers whom a moved message tells where the new date stands.
        until: how far ahead to look.
    """
    by_key = {one.key: one for one in owed}
    receivers = {one.receiver for one in owed if one.cause is not Cause.MOVED}
    wanted: dict[str, Owed] = {}
    for one in _ladder(milestone, config, now, until):
        is_new = one.key not in by_key and one.receiver in receivers
        wanted[one.key] = _armed(one, config, now, is_told=one.receiver in told, is_new=is_new)
    changed = {key: one for key, one in wanted.items() if _differs(one, by_key.get(key))}
    gone = {
        one.key: "owed no more"
        for one in owed
        if one.state is OwedState.PENDING and one.key not in wanted and one.cause not in NEWS
    }
    for one in owed:
        if one.key not in changed and one.key not in gone and _is_free(one, milestone, config, now):
            # An update ends no deferral: what is called off and owed at once begins anew.
            gone[one.key] = "not muted any more"
            changed[one.key] = replace(one, wake_at=one.at)
    return Rearmed(owed=tuple(changed.values()), cancelled=tuple(gone.items()))


def _ladder(milestone: Milestone, config: Config, now: datetime, until: datetime) -> Iterable[Owed]:
    beginning = datetime.min.replace(tzinfo=now.tzinfo)
    for occurrence in occurrences(milestone, beginning, until):
        for planned in receivers_of(milestone, occurrence, config.route):
            yield Owed(
                key=planned.key,
                milestone=milestone.id,
                receiver=planned.receiver,
                cause=occurrence.cause,
                offset=occurrence.offset,
                window_id=occurrence.stated.window.id,
                at=occurrence.at,
                wake_at=occurrence.at,
                group=planned.group,
            )


def _armed(one: Owed, config: Config, now: datetime, *, is_told: bool, is_new: bool) -> Owed:
    """Pending, unless it is past and there is a reason not to send it late."""
    if one.at > now:
        return one
    if now - one.at > config.catch_up:
        days = (now - one.at).days
        return replace(one, state=OwedState.EXPIRED, reason=f"{days} days late when it was loaded")
    if is_told:
        return replace(one, state=OwedState.SUPERSEDED, reason="the moved message says where it stands")
    if is_new:
        return replace(one, state=OwedState.SUPERSEDED, reason="it was due before it was in the policy")
    return one


def _differs(one: Owed, before: Owed | None) -> bool:
    if before is None or before.state is OwedState.CANCELLED:
        return True
    # What is past and waiting was pending before, whatever _armed would make of it today.
    return before.state is OwedState.PENDING and (one.at, one.group) != (before.at, before.group)


def _is_free(one: Owed, milestone: Milestone, config: Config, now: datetime) -> bool:
    """Whether it waits for the end of a mute that is not in the configuration any more."""
    if one.state is not OwedState.PENDING or one.wake_at <= max(one.at, now):
        return False
    if not one.reason.startswith("muted by"):
        return False
    matches = match_routes(config.route, labels_of(milestone, one.cause, one.offset))
    return not any(match.receiver == one.receiver and muted(match, now) for match in matches)
