"""How one attempt ended, and when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertd.core.milestones.occurrence import fingerprint

FIRST_STEP = timedelta(seconds=5)
GROWTH = 4
LONGEST_STEP = timedelta(hours=1)
LONGEST_RETRY_AFTER = timedelta(days=1)
JITTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The receiver accepted it.

    Attributes:
        state: what the next send for the same milestone is to be given, by full milestone id:
            a chat message's id, a dedup key.
        note: what is worth keeping of the answer; no secret.
        partly: a sentence on those of several recipients who will never get it; the operator is told. ""
            when all have it.
    """

    state: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    note: str = ""
    partly: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Not now; the same delivery is sent again under the same id.

    Attributes:
        after: what the receiver asked for (``Retry-After``); None when it asked for nothing.
        unknown: the request was written and no answer came, so it may have been accepted.
        partly: some of several recipients have it; the channel works, and the rest is tried again.
    """

    reason: str
    after: timedelta | None = None
    unknown: bool = False
    partly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Never; trying again would not help.

    Attributes:
        gone: the receiver wants no more at all: the channel is stopped, and not only this delivery.
    """

    reason: str
    gone: bool = False


Outcome = Sent | Retry | Rejected


def describe_outcome(outcome: Outcome) -> str:
    """How an attempt ended, for people: ``accepted``, ``failed for now: ...``, ``rejected: ...``."""
    match outcome:
        case Sent() if outcome.partly:
            return f"accepted, but not by all: {outcome.partly}"
        case Sent():
            return "accepted" + (f" ({outcome.note})" if outcome.note else "")
        case Retry():
            lost = " (no answer: it may have arrived)" if outcome.unknown else ""
            what = "accepted by some, and failed for now by others" if outcome.partly else "failed for now"
            return f"{what}: {outcome.reason}{lost}"
        case Rejected():
            return f"rejected: {outcome.reason}"


def compute_backoff(delivery: str, attempt: int, asked: timedelta | None = None) -> timedelta:
    """How long to wait after attempt number ``attempt`` (from 1) of ``delivery``.

    Exponential from 5 s to 1 h. The jitter comes from the id and the attempt, so that every node
    and every run computes the same; it only ever lengthens the wait, so that what a receiver
    asked for is honoured. What it asks for beyond a day is cut to a day.
    """
    growth: int = GROWTH ** min(attempt - 1, 10)
    step = min(FIRST_STEP * growth, LONGEST_STEP)
    if asked is not None:
        step = max(step, min(asked, LONGEST_RETRY_AFTER))
    return step * (1 + JITTER * _compute_fraction(delivery, attempt))


def compute_next_attempt(
    delivery: str, attempt: int, now: datetime, give_up_at: datetime, asked: timedelta | None = None
) -> datetime | None:
    """When to try again, or None when that would be past ``give_up_at``: the delivery is dead."""
    at = now + compute_backoff(delivery, attempt, asked)
    return at if at <= give_up_at else None


def _compute_fraction(delivery: str, attempt: int) -> float:
    return int.from_bytes(fingerprint("jitter", delivery, str(attempt)).encode()[-4:], "big") % 1000 / 1000
