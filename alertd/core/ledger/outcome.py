"""The outcome of an attempt to send a delivery, and the time of the next attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alertd.core.milestones.occurrence import fingerprint

FIRST_STEP = timedelta(seconds=5)
GROWTH = 4
LONGEST_STEP = timedelta(hours=1)
LONGEST_RETRY_AFTER = timedelta(days=1)
JITTER = 0.2

LONGEST_WAIT = LONGEST_RETRY_AFTER * (1 + JITTER)
"""No delivery waits longer for its next attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The receiver accepted the message.

    Attributes:
        state: values for the next send about the same milestone, by full milestone id, such as the id of a
            chat message or a deduplication key.
        note: a part of the answer that the ledger records. It holds no secret.
        partly: a sentence about the recipients who will never get the message, which alertd reports to the
            operator; "" if all recipients got it.
    """

    state: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    note: str = ""
    partly: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The attempt failed for now. alertd sends the same delivery again under the same id.

    Attributes:
        after: the time to wait that the receiver asked for (``Retry-After``); None if it asked for none.
        unknown: alertd wrote the request and got no answer, so the receiver may have accepted the message.
        partly: some of the recipients have the message. The channel works, and alertd retries for the rest.
    """

    reason: str
    after: timedelta | None = None
    unknown: bool = False
    partly: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The receiver refused the message for good, so a retry would not help.

    Attributes:
        gone: the receiver refuses all further messages, so alertd stops the channel and not only this
            delivery.
    """

    reason: str
    gone: bool = False


Outcome = Sent | Retry | Rejected


def check_outcome(outcome: object) -> Outcome:
    """Return what a notifier returned, if it is an outcome that every ledger can hold.

    Outcomes are settled in groups, so an outcome that cannot be written holds up its group. Characters that
    a database refuses are replaced, since a text may come from the receiver: NUL, and halves of a surrogate
    pair.

    Raises:
        TypeError: it is no outcome, or a value in it has the wrong type.
    """
    match outcome:
        case Sent():
            return Sent(
                state={
                    _clean(name): {_clean(key): _clean(value) for key, value in state.items()}
                    for name, state in outcome.state.items()
                },
                note=_clean(outcome.note),
                partly=_clean(outcome.partly),
            )
        case Retry() if outcome.after is None or isinstance(outcome.after, timedelta):
            return replace(outcome, reason=_clean(outcome.reason))
        case Rejected():
            return replace(outcome, reason=_clean(outcome.reason))
        case _:
            raise TypeError(f"a notifier returned {type(outcome).__name__}, which is no outcome")


def _clean(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a notifier returned {type(text).__name__} in place of a text")
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def describe_outcome(outcome: Outcome) -> str:
    """Describe an outcome for people: ``accepted``, ``failed for now: ...`` or ``rejected: ...``."""
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
    """Compute the time to wait before the next attempt.

    The wait grows exponentially from 5 s to 1 h. The jitter is derived from the delivery's id and the number
    of the attempt, so every node and every run computes the same wait. Jitter never shortens the wait, so
    alertd never retries earlier than the receiver asked.

    Args:
        delivery: the id of the delivery.
        attempt: the number of the attempt that failed, from 1.
        asked: the wait that the receiver asked for, of which alertd honours at most a day.
    """
    growth: int = GROWTH ** min(attempt - 1, 10)
    step = min(FIRST_STEP * growth, LONGEST_STEP)
    if asked is not None:
        step = max(step, min(asked, LONGEST_RETRY_AFTER))
    return step * (1 + JITTER * _compute_fraction(delivery, attempt))


def compute_next_attempt(
    delivery: str, attempt: int, now: datetime, give_up_at: datetime, asked: timedelta | None = None
) -> datetime | None:
    """Compute the instant of the next attempt.

    Args:
        delivery: the id of the delivery.
        attempt: the number of the attempt that failed, from 1.
        now, give_up_at: aware UTC instants.
        asked: the wait that the receiver asked for.

    Returns:
        None if the next attempt would be later than ``give_up_at``, so the delivery is dead.
    """
    at = now + compute_backoff(delivery, attempt, asked)
    return at if at <= give_up_at else None


def _compute_fraction(delivery: str, attempt: int) -> float:
    return int.from_bytes(fingerprint("jitter", delivery, str(attempt)).encode()[-4:], "big") % 1000 / 1000
