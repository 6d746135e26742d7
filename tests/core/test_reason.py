"""Reasons: each has a code, comes back from the ledger with its details, and has its words."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import get_args

import pytest

from alertd.core.message.reasons import describe_hold, describe_reason
from alertd.core.reason import (
    CODES,
    AcknowledgedBy,
    Answered,
    AwaitedDigest,
    CancelledBy,
    ChannelStopped,
    DeliveryFailed,
    DoneOn,
    GivenUp,
    Hold,
    LaterReminder,
    LeasesLost,
    MembersUnwanted,
    MemberUnwanted,
    MuteInterval,
    NotConfigured,
    NotifierFailed,
    OtherReason,
    OutsideIntervals,
    PlainReason,
    QuietHours,
    Reason,
    SentAgainBy,
    SnoozedBy,
    TooLate,
    TooLateAtLoad,
    Unanswered,
    get_code,
    pack_details,
    unpack_reason,
)

AT = datetime(2026, 9, 23, 9, tzinfo=UTC)
MEMBERS = (
    MemberUnwanted(milestone="iraq/phase-2", offset="-7d", why=AcknowledgedBy(by="Ada")),
    MemberUnwanted(milestone="iraq/phase-1", offset="+1d", why=PlainReason.OVERTAKEN),
)

# the reason, its code, its words
WORDED: list[tuple[Reason, str, str]] = [
    (PlainReason.WITHDRAWN, "withdrawn", "the milestone was withdrawn"),
    (PlainReason.REOPENED, "reopened", "it was reopened"),
    (PlainReason.ACKNOWLEDGEMENT_ENDED, "acknowledgement_ended", "the acknowledgement holds no more"),
    (PlainReason.DEADLINE_MOVED, "deadline_moved", "the deadline moved"),
    (PlainReason.MOVED_AGAIN, "moved_again", "it moved again"),
    (PlainReason.MOVED_WHILE_DAMPED, "moved_while_damped", "it moved again within the damping time"),
    (PlainReason.MOVED_WHILE_CLOSED, "moved_while_closed", "it moved while it was closed"),
    (PlainReason.TOLD_BY_MOVE, "told_by_move", "the moved message says where it stands"),
    (PlainReason.NEW_IN_POLICY, "new_in_policy", "it was due before it was in the policy"),
    (PlainReason.NOT_OWED, "not_owed", "owed no more"),
    (PlainReason.NO_NOTIFIER, "no_notifier", "the receiver has no notifier"),
    (PlainReason.NO_FOLLOWER, "no_follower", "the receiver has no notifier that follows"),
    (PlainReason.OVERTAKEN, "overtaken", "overtaken by a newer one"),
    (PlainReason.NOTHING_LEFT, "nothing_left", "nothing of it is true any more"),
    (PlainReason.INTERRUPTED, "interrupted", "alertd was stopped before an answer came"),
    (PlainReason.LEASE_TOO_OLD, "lease_too_old", "its lease was too old to send on it"),
    (PlainReason.REROUTED, "rerouted", "the routes now send it to other receivers"),
    (PlainReason.LEASE_LOST, "lease_lost", "alertd ended before it recorded how the attempt ended"),
    (PlainReason.UNRECORDED, "unrecorded", "the ledger refused what alertd was recording about the attempt"),
    (MuteInterval(interval="weekend"), "mute_interval", "muted by mute_time_intervals: weekend"),
    (
        OutsideIntervals(intervals=("office", "night")),
        "outside_intervals",
        "muted by active_time_intervals: not in office, night",
    ),
    (QuietHours(hours="22:00 to 07:00 (UTC)"), "quiet_hours", "muted by quiet: 22:00 to 07:00 (UTC)"),
    (
        AwaitedDigest(digest="every Monday at 08:00 (UTC)"),
        "digest",
        "waits for the digest every Monday at 08:00 (UTC)",
    ),
    (AcknowledgedBy(by="Ada"), "acknowledged", "acknowledged by Ada"),
    (SnoozedBy(by="Ada"), "snoozed", "snoozed by Ada"),
    (CancelledBy(by="Ada"), "cancelled", "cancelled by Ada"),
    (DoneOn(on=date(2026, 10, 3)), "done", "done on 2026-10-03"),
    (SentAgainBy(by="Ada"), "sent_again", "sent again by Ada"),
    (LaterReminder(key="k9", offset="-1d"), "later_reminder", "a later one is due too"),
    (TooLate(days=40), "too_late", "40 days late"),
    (TooLateAtLoad(days=40), "too_late_at_load", "40 days late when it was loaded"),
    (Answered(text="h.example answered 503: busy"), "answered", "h.example answered 503: busy"),
    (Unanswered(within_s=120), "no_answer", "no answer within 120 s"),
    (NotifierFailed(error="ValueError"), "notifier_failed", "the notifier failed: ValueError"),
    (
        DeliveryFailed(error="KeyError"),
        "delivery_failed",
        "alertd could not prepare the message: KeyError",
    ),
    (
        LeasesLost(number=4),
        "leases_lost",
        "alertd ended 4 times in a row while it was sending this message",
    ),
    (NotConfigured(channel="desk/hook"), "not_configured", "desk/hook is not configured any more"),
    (ChannelStopped(answer="answered 410"), "channel_stopped", "stopped: answered 410"),
    (
        ChannelStopped(answer="answered 410", since=AT),
        "channel_stopped",
        "stopped: since 2026-09-23 09:00Z nothing is sent there, when answered 410",
    ),
    (GivenUp(last=Answered(text="busy")), "given_up", "given up: busy"),
    (GivenUp(last=PlainReason.INTERRUPTED), "given_up", "given up: alertd was stopped before an answer came"),
    (
        MembersUnwanted(members=MEMBERS),
        "members_unwanted",
        "iraq/phase-2 -7d: acknowledged by Ada; iraq/phase-1 +1d: overtaken by a newer one",
    ),
    (OtherReason(text="muted by weekend"), "other", "muted by weekend"),
]


@pytest.mark.parametrize(("reason", "code", "words"), WORDED)
def test_a_reason_has_a_code_and_words(reason: Reason, code: str, words: str) -> None:
    assert (get_code(reason), describe_reason(reason)) == (code, words)


@pytest.mark.parametrize("reason", [row[0] for row in WORDED])
def test_a_reason_survives_the_ledger(reason: Reason) -> None:
    """A reason comes back equal from its code and details, without its words."""
    assert unpack_reason(get_code(reason), pack_details(reason), "anything") == reason


def test_every_reason_is_in_the_table() -> None:
    """Each kind of reason has a code, and the table of this file has all of them."""
    kinds = {kind for kind in get_args(Reason) if kind is not PlainReason}

    assert {type(reason) for reason, _, _ in WORDED} == kinds | {PlainReason}
    assert {code for _, code, _ in WORDED} == set(CODES)
    assert len(set(CODES)) == len(CODES) == len(kinds) + len(PlainReason)


def test_no_reason_has_no_words() -> None:
    assert (get_code(None), pack_details(None), describe_reason(None)) == ("", {}, "")
    assert unpack_reason("", {}) is None


def test_a_code_that_is_not_known_keeps_its_words() -> None:
    """A reason with an unknown code, which a newer version may have written, keeps its words."""
    assert unpack_reason("of_tomorrow", {"a": 1}, "its words") == OtherReason(text="its words")


def test_details_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'too_late' do not fit"):
        unpack_reason("too_late", {"hours": 3})


def test_a_rule_is_called_by_its_key_in_the_configuration() -> None:
    """The words for a rule, which the JSON of the plan shows, start with its key in the configuration."""
    holds = [reason for reason, _, _ in WORDED if isinstance(reason, Hold)]

    assert [describe_hold(one) for one in holds] == [
        "mute_time_intervals: weekend",
        "active_time_intervals: not in office, night",
        "quiet: 22:00 to 07:00 (UTC)",
        "digest: every Monday at 08:00 (UTC)",
    ]
