"""What Slack's answers mean. Its Web API says with HTTP 200 that it failed: ``{"ok": false, "error": ...}``.

Source: the tables "Errors" of https://docs.slack.dev/reference/methods/chat.postMessage and chat.update, and
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, "Handling errors".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.http.client import Answer, Reply
from alertd.notify.http.redact import quote
from alertd.notify.http.reply import outcome_of, retry_after
from alertd.notify.json_api import object_in

PASSING = frozenset({
    "external_channel_migrating", "message_limit_exceeded", "org_login_required", "rate_limited",
    "ratelimited", "service_unavailable", "team_added_to_org", "update_failed",
})  # fmt: skip
"""It may go well later."""

HALFWAY = frozenset({"fatal_error", "internal_error", "request_timeout"})
"""It may go well later, and some of it may have been done already."""

LAYOUT = frozenset({
    "attachment_payload_limit_exceeded", "invalid_attachments", "invalid_blocks", "invalid_blocks_format",
    "msg_blocks_too_long", "too_many_attachments",
})  # fmt: skip
"""Nothing was posted, and the same without blocks and attachments would be."""

NO_THREAD = frozenset({
    "cannot_reply_to_message", "channel_not_found", "message_not_found",
    "restricted_action_non_threadable_channel", "restricted_action_thread_locked", "thread_not_found",
})  # fmt: skip
"""Nothing was posted: the message to be edited or replied to is gone, or takes no replies."""

NO_EDIT = NO_THREAD | {"cant_update_message", "edit_window_closed"}
"""The message will never be edited, whoever tries."""

_ADVICE = {
    "account_inactive": "the token belongs to a user or workspace that is gone",
    "channel_not_found": "there is no such channel, or it is private and the app is not in it",
    "invalid_auth": "the token is wrong, or used from an address that is not allowed",
    "is_archived": "the channel is archived",
    "missing_scope": "the token needs the scope chat:write",
    "not_in_channel": "invite the app to the channel, or give it the scope chat:write.public",
    "token_revoked": "the app was removed, or its token revoked",
}
_WORD = re.compile(r"[a-z][a-z0-9_]{1,80}")
_TS = re.compile(r"\d{1,20}\.\d{1,20}")
_CHANNEL = re.compile(r"[A-Z0-9]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message stands: Slack names it by both."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """It was accepted; ``place`` is None where the receiver does not say it."""

    place: Place | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It was not; ``error`` is Slack's word for why, "" when it said none."""

    error: str
    outcome: Outcome


def place_in(state: Mapping[str, object]) -> Place | None:
    """The place that a ledger or an answer holds; None when it holds none."""
    channel, ts = state.get("channel", ""), state.get("ts", "")
    if not (isinstance(channel, str) and isinstance(ts, str)):
        return None
    return Place(channel=channel, ts=ts) if _CHANNEL.fullmatch(channel) and _TS.fullmatch(ts) else None


def understood(answer: Answer, now: datetime) -> Posted | Refused:
    """What an answer of the Web API, of an incoming webhook, or of a service like Slack means.

    A webhook answers ``ok``, others ``{"ok": true}`` or nothing. Anything else with a 200 is likely
    somebody's log-in page. To call that delivered would lose a reminder; to send it again would not help.
    An error whose name is not known here is final: Slack documents those that pass, and what is wrong with
    one message must not hold up the channel.
    """
    outcome = outcome_of(answer, now)
    if not isinstance(answer, Reply):
        return Refused(error="", outcome=outcome)
    said = object_in(answer)
    error = _word(said.get("error")) or _word(answer.body.decode("utf-8", "replace").strip())
    if not isinstance(outcome, Sent):
        return Refused(error=error, outcome=outcome)
    where = answer.origin
    if not answer.whole:
        broken = Retry(reason=f"{where} answered {answer.status} and broke off", unknown=True)
        return Refused(error="", outcome=broken)
    if said.get("ok") is True or said.get("success") is True or answer.body.strip().lower() in (b"ok", b""):
        return Posted(place=place_in(said), note=outcome.note)
    if said.get("ok") is False and error:
        return Refused(error=error, outcome=_outcome(answer, error, now))
    unlike = f"{where} answered {answer.status}, but not ok: {quote(answer.body, answer.hidden)}"
    return Refused(error="", outcome=Rejected(reason=unlike))


def _outcome(reply: Reply, error: str, now: datetime) -> Outcome:
    advice = f" ({_ADVICE[error]})" if error in _ADVICE else ""
    reason = f"{reply.origin} answered that it failed: {quote(error, reply.hidden)}{advice}"
    if error in PASSING:
        return Retry(reason=reason, after=retry_after(reply.headers.get("retry-after", ""), now))
    if error in HALFWAY:
        return Retry(reason=reason, unknown=True)
    return Rejected(reason=reason)


def _word(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
