"""How long to wait after a failed attempt, and when to give up."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.ledger.outcome import (
    JITTER,
    LONGEST_RETRY_AFTER,
    LONGEST_STEP,
    compute_backoff,
    compute_next_attempt,
)
from tests.core.builders import utc

NOW = utc("2026-10-05T06:00")
IDS = st.text("abcXYZ019", min_size=1, max_size=22).map("msg_".__add__)
ATTEMPTS = st.integers(1, 10_000)

# attempt, the step in seconds before jitter
STEPS = [(1, 5), (2, 20), (3, 80), (4, 320), (5, 1280), (6, 3600), (7, 3600), (10_000, 3600)]


@pytest.mark.parametrize(("attempt", "step_s"), STEPS)
def test_the_step_grows_to_an_hour(attempt: int, step_s: int) -> None:
    """Each wait is four times the previous one, up to an hour, and jitter adds up to a fifth."""
    waited = compute_backoff("msg_a", attempt)

    assert timedelta(seconds=step_s) <= waited <= timedelta(seconds=step_s) * (1 + JITTER)


@given(IDS, ATTEMPTS)
def test_it_grows_until_the_longest_step(delivery: str, attempt: int) -> None:
    """Despite jitter each wait is longer than the previous one, until the longest is reached."""
    first, second = compute_backoff(delivery, attempt), compute_backoff(delivery, attempt + 1)

    assert first < second or second >= LONGEST_STEP


@given(IDS, ATTEMPTS)
def test_it_is_the_same_everywhere(delivery: str, attempt: int) -> None:
    """Every node and every run computes the same wait."""
    assert compute_backoff(delivery, attempt) == compute_backoff(delivery, attempt)


def test_deliveries_that_failed_at_once_do_not_come_back_at_once() -> None:
    """A thousand deliveries to a receiver that was down are spread over the jitter."""
    waits = {compute_backoff(f"msg_{number}", 6) for number in range(1000)}

    assert len(waits) > 500
    assert max(waits) - min(waits) > LONGEST_STEP * JITTER * 0.9


@given(IDS, ATTEMPTS, st.timedeltas(timedelta(days=-1), LONGEST_RETRY_AFTER))
def test_retry_after_is_never_shortened(delivery: str, attempt: int, asked: timedelta) -> None:
    """The wait is never shorter than the receiver asked, nor than the backoff."""
    waited = compute_backoff(delivery, attempt, asked)

    assert waited >= asked
    assert waited >= compute_backoff(delivery, attempt) / (1 + JITTER)


def test_retry_after_beyond_a_day_is_cut_to_a_day() -> None:
    """alertd waits for at most a day, even if the receiver asks for a year."""
    waited = compute_backoff("msg_a", 1, timedelta(days=365))

    assert LONGEST_RETRY_AFTER <= waited <= LONGEST_RETRY_AFTER * (1 + JITTER)


# the time left until the horizon, whether there is another attempt
HORIZONS = [
    (timedelta(seconds=7), True),
    (timedelta(seconds=4), False),
    (timedelta(), False),
    (timedelta(-1), False),
]


@pytest.mark.parametrize(("left", "goes_on"), HORIZONS)
def test_the_horizon(left: timedelta, goes_on: bool) -> None:
    """There is no attempt after the horizon."""
    at = compute_next_attempt("msg_a", 1, NOW, NOW + left)

    assert (at is not None) is goes_on


@given(IDS, ATTEMPTS, st.none() | st.timedeltas(timedelta(), timedelta(days=9)), st.integers(0, 500_000))
def test_the_next_attempt_is_within_the_horizon(
    delivery: str, attempt: int, asked: timedelta | None, left_s: int
) -> None:
    """The next attempt is after now and within the horizon, or there is none."""
    give_up_at = NOW + timedelta(seconds=left_s)

    at = compute_next_attempt(delivery, attempt, NOW, give_up_at, asked)

    assert at is None or NOW < at <= give_up_at


def test_about_how_many_attempts_fit_into_three_days() -> None:
    """The default horizon of 72 hours leaves some seventy attempts, not thousands."""
    now, attempts = NOW, 1
    while (then := compute_next_attempt("msg_a", attempts, now, NOW + timedelta(hours=72))) is not None:
        now, attempts = then, attempts + 1

    assert 60 < attempts < 80
