"""Rate limits and circuit breakers, as values with a clock that the test controls."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.ledger.backpressure import (
    FIRST_PAUSE_S,
    LONGEST_HOLD_S,
    LONGEST_PAUSE_S,
    REFUSED_FOR_S,
    TRIPS_AT,
    Backpressure,
    Breaker,
    BreakerChange,
    Rate,
    Throttle,
    parse_rate,
)
from alertd.core.ledger.outcome import FIRST_STEP, GROWTH, Outcome, Rejected, Retry, Sent
from alertd.errors import RateError

MOST = 8
FAILED = Retry(reason="no answer")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/s", Rate(messages=1, per_s=1.0)),
        ("20/min", Rate(messages=20, per_s=60.0)),
        ("100/h", Rate(messages=100, per_s=3600.0)),
    ],
)
def test_rates_are_read_and_written_the_same(text: str, rate: Rate) -> None:
    """A rate is a number and a unit, and is printed as it was written."""
    read = parse_rate(text)

    assert read == rate
    assert str(read) == text


@pytest.mark.parametrize("text", ["", "0/s", "1/m", "1/ s", "-1/s", "1", "1/day", "1.5/s", "999999/s"])
def test_what_is_no_rate_is_refused_with_what_would_be(text: str) -> None:
    """No rate is guessed: the unit is s, min or h, and the number is a whole number greater than 0."""
    with pytest.raises(RateError, match="write 1/s, 20/min or 100/h"):
        parse_rate(text)


@given(st.text(max_size=30))
def test_no_text_raises_anything_but_the_named_error(text: str) -> None:
    """Every text is parsed as a rate or refused with a RateError."""
    try:
        rate = parse_rate(text)
    except RateError:
        return

    assert rate.messages > 0


@given(
    st.sampled_from([parse_rate("1/s"), parse_rate("3/s"), parse_rate("20/min")]),
    st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60),
)
def test_no_period_holds_more_than_twice_the_rate(rate: Rate, waits: list[float]) -> None:
    """A full burst can follow a period that was used up, and no more than that."""
    throttle, now, sent = Throttle(rate=rate), 0.0, []
    for wait in waits:
        now += wait
        room = throttle.count_free(now)
        throttle = throttle.record_sends(room, now)
        sent += [now] * room

    worst = max((sum(at - rate.per_s < other <= at for other in sent) for at in sent), default=0)
    assert worst <= 2 * rate.messages
    assert len(sent) <= rate.messages * (1 + now / rate.per_s) + 1


def test_throttle_says_when_there_is_room_again() -> None:
    """After a burst, the next send is possible when its share of the period has passed."""
    throttle = Throttle(rate=parse_rate("4/min")).record_sends(4, 100.0)

    assert throttle.count_free(100.0) == 0
    assert throttle.find_next_slot(100.0) == pytest.approx(115.0)
    assert throttle.count_free(115.0) == 1
    assert throttle.count_free(160.0) == 4


def after(breaker: Breaker, now: float, *outcomes: Outcome) -> tuple[Breaker, list[BreakerChange]]:
    turns = []
    for outcome in outcomes:
        breaker, turn = breaker.record_outcome(outcome, now, MOST)
        turns.append(turn)
    return breaker, turns


def test_breaker_opens_after_so_many_failures_in_a_row_and_says_so_once() -> None:
    """The breaker opens and reports once. Later failures of sends that were in flight change nothing."""
    breaker, turns = after(Breaker(), 0.0, *[FAILED] * (TRIPS_AT + 3))

    assert turns == [BreakerChange.NONE] * (TRIPS_AT - 1) + [BreakerChange.OPENED] + [BreakerChange.NONE] * 3
    assert breaker.count_free(FIRST_PAUSE_S - 0.1, 0, MOST) == 0


def test_an_answer_in_between_starts_the_count_again() -> None:
    """Only consecutive failures count, and a rejection counts as an answer."""
    row = [FAILED] * (TRIPS_AT - 1)

    _, turns = after(Breaker(), 0.0, *row, Sent(), *row, Rejected(reason="no"), *row)

    assert set(turns) == {BreakerChange.NONE}


def test_a_channel_that_took_it_for_some_is_no_channel_that_does_not_answer() -> None:
    """Sends that reach only a part of the recipients never open the breaker."""
    breaker, turns = after(Breaker(), 0.0, *[Retry(reason="450 full", partly=True)] * (TRIPS_AT + 1))

    assert set(turns) == {BreakerChange.NONE}
    assert breaker.count_free(0.0, 0, MOST) == MOST


def test_open_breaker_lets_one_probe_through_after_each_pause_and_waits_twice_as_long() -> None:
    """An open breaker sends a single probe after 30 s, 60 s and so on, up to ten minutes."""
    breaker, _ = after(Breaker(), 0.0, *[FAILED] * TRIPS_AT)
    now, pauses = 0.0, []
    for _ in range(8):
        pauses.append(breaker.until - now)
        now = breaker.until
        assert breaker.count_free(now, 0, MOST) == 1
        assert breaker.count_free(now, 1, MOST) == 0
        breaker, _ = after(breaker, now, FAILED)

    assert pauses == [30, 60, 120, 240, 480, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_backlog_comes_back_in_steps() -> None:
    """After a successful probe, 1, 2, 4 and then the usual number of sends can be in flight."""
    breaker, _ = after(Breaker(), 0.0, *[FAILED] * TRIPS_AT)
    rooms = []
    turns = []
    for _ in range(4):
        breaker, turn = breaker.record_outcome(Sent(), 1_000.0, MOST)
        turns.append(turn)
        rooms.append(breaker.count_free(1_000.0, 0, MOST))

    assert turns == [BreakerChange.CLOSED, BreakerChange.NONE, BreakerChange.NONE, BreakerChange.NONE]
    assert rooms == [1, 2, 4, MOST]


def test_what_was_under_way_and_is_accepted_ends_the_pause() -> None:
    """A success among the sends that were in flight closes the breaker, which then resumes in steps."""
    breaker, turns = after(Breaker(), 0.0, *[FAILED] * TRIPS_AT, Sent())

    assert turns[-2:] == [BreakerChange.OPENED, BreakerChange.CLOSED]
    assert breaker.count_free(0.0, 0, MOST) == 1


def test_pause_that_ends_early_leaves_what_the_receiver_asked_for() -> None:
    """The receiver's own retry time applies, whatever the state of the breaker."""
    asked = Retry(reason="429", after=timedelta(seconds=90))

    breaker, turns = after(Breaker(), 0.0, asked, *[FAILED] * TRIPS_AT, Sent())

    assert turns[-1] == BreakerChange.CLOSED
    assert breaker.count_free(89.0, 0, MOST) == 0
    assert breaker.count_free(90.0, 0, MOST) == 1


def test_retry_after_holds_the_channel_and_is_no_failure() -> None:
    """A retry time that a receiver requests delays all its deliveries, for an hour at most."""
    asked = [Retry(reason="429", after=timedelta(seconds=90))] * TRIPS_AT

    breaker, turns = after(Breaker(), 0.0, *asked)
    longest, _ = after(breaker, 0.0, Retry(reason="429", after=timedelta(days=3)))

    assert set(turns) == {BreakerChange.NONE}
    assert breaker.count_free(89.0, 0, MOST) == 0
    assert breaker.count_free(90.0, 0, MOST) == MOST
    assert longest.shut_until == LONGEST_HOLD_S


def test_endless_refusals_open_the_breaker_after_the_time_without_a_retry_time() -> None:
    """A single delivery that is refused again and again opens the breaker at the same attempt either way."""
    refused = Retry(reason="503", after=timedelta(seconds=1))
    turns: dict[Outcome, list[BreakerChange]] = {refused: [], FAILED: []}

    for outcome, seen in turns.items():
        breaker, now = Breaker(), 100.0
        for attempt in range(TRIPS_AT):
            breaker, turn = breaker.record_outcome(outcome, now, MOST)
            seen.append(turn)
            now += FIRST_STEP.total_seconds() * GROWTH**attempt

    assert turns[FAILED] == [BreakerChange.NONE] * (TRIPS_AT - 1) + [BreakerChange.OPENED]
    assert turns[refused] == [BreakerChange.NONE] * (TRIPS_AT - 1) + [BreakerChange.REFUSED]


def test_long_retry_time_opens_the_breaker_meanwhile_and_is_still_kept() -> None:
    """The breaker opens once during the hold. A probe follows the hold, and an answer closes the breaker."""
    breaker, _ = after(Breaker(), 0.0, Retry(reason="503", after=timedelta(hours=1)))

    early, not_yet = breaker.check_hold(REFUSED_FOR_S - 1)
    opened, turn = early.check_hold(REFUSED_FOR_S)
    again, repeated = opened.check_hold(REFUSED_FOR_S + 1)
    closed, turns = after(again, 3600.0, Sent())

    assert (not_yet, turn, repeated) == (BreakerChange.NONE, BreakerChange.REFUSED, BreakerChange.NONE)
    assert not early.is_open
    assert opened.is_open
    assert [opened.count_free(now, 0, MOST) for now in (REFUSED_FOR_S, 3599.0, 3600.0)] == [0, 0, 1]
    assert turns == [BreakerChange.CLOSED]
    assert not closed.is_open


@pytest.mark.parametrize("answer", [Sent(), Rejected(reason="no"), Retry(reason="450 full", partly=True)])
def test_answer_between_refusals_starts_their_time_again(answer: Outcome) -> None:
    """A receiver that limits the rate, and accepts messages in between, works."""
    refused = Retry(reason="429", after=timedelta(seconds=REFUSED_FOR_S))
    breaker, _ = after(Breaker(), 0.0, refused, answer)

    _, held = breaker.check_hold(REFUSED_FOR_S - 1)
    breaker, turns = after(breaker, REFUSED_FOR_S, refused)
    _, turn = breaker.check_hold(REFUSED_FOR_S + 1)

    assert (held, turns, turn) == (BreakerChange.NONE, [BreakerChange.NONE], BreakerChange.NONE)


def test_channel_that_nothing_is_sent_to_after_its_hold_does_not_open_the_breaker() -> None:
    """A refusal says nothing about the receiver after the requested time, so only another refusal counts."""
    breaker, _ = after(Breaker(), 0.0, Retry(reason="429", after=timedelta(seconds=90)))

    _, turn = breaker.check_hold(REFUSED_FOR_S)

    assert turn == BreakerChange.NONE


def test_gate_lets_through_what_both_let_through() -> None:
    """Two limits combine to the lower limit, which opens when the later of the two opens."""
    gate = Backpressure(throttle=Throttle(rate=parse_rate("1/s"))).record_sends(1, 0.0)
    held = Backpressure(breaker=Breaker(until=5.0), throttle=gate.throttle)

    assert gate.count_free(0.0, 0, MOST) == 0
    assert gate.count_free(1.0, 0, MOST) == 1
    assert gate.find_next_opening(0.0) == pytest.approx(1.0)
    assert held.find_next_opening(0.0) == pytest.approx(5.0)
