"""The answer to a request, and its outcome by the same table for all notifiers that use HTTP."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.http.redact import find_origin, quote

RETRIED = frozenset({408, 425, 429})
"""The 4xx statuses that mean "later": Request Timeout, Too Early (RFC 8470), Too Many Requests (RFC 6585)."""

_SECONDS = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A receiver's answer to a request.

    Attributes:
        origin: scheme and host of the receiver.
        headers: names in lower case. If a header is repeated, the last value.
        body: the first ``MAX_BODY`` bytes, not decompressed.
        whole: whether the body is complete: not longer than ``MAX_BODY``, not broken off, not late, and not
            malformed.
        hidden: secrets that must be redacted when the body is quoted.
    """

    origin: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    whole: bool = True
    hidden: tuple[str, ...] = field(default=(), repr=False)


Answer = Reply | Retry | Rejected
"""``Retry`` or ``Rejected`` if there was no answer."""


def judge_answer(answer: Answer, now: datetime) -> Outcome:
    """Return the outcome of a delivery from the receiver's answer. The status alone decides.

    ========================  =====================================================================
    2xx                       Sent
    408, 425, 429, 5xx        Retry, after the wait that ``Retry-After`` asks for. An invalid status, such as
                              000 or 600, counts as 5xx (RFC 9110, section 15)
    3xx                       Rejected: after a redirect, a POST may arrive as a GET
    410                       Rejected, and the channel is stopped: the receiver wants no more
                              (Standard Webhooks, "Webhook Disablement")
    anything else             Rejected, with the beginning of the answer
    ========================  =====================================================================

    The client has an answer in each of these cases:

    ======================================================  ========================================
    the head is complete; the body is anything              a reply: the status decides
    the head is malformed or exceeds a limit of alertd's    a reply: the status decides
    the head stops before its end: late, closed or reset    no reply: Retry, unknown
    no status                                               no reply: Retry, unknown
    ======================================================  ========================================

    Many servers take a request as done only when they have sent the whole head, so half a head means nothing
    (RFC 9112, section 8). After the head, they have decided, and a second copy would be their duplicate.
    Notifiers whose service reports failures in the body of a 2xx answer retry without a whole body: the
    status does not say whether the service took the message, and a copy is better than a loss.

    Args:
        now: an aware UTC instant, from which a ``Retry-After`` with a date is counted.
    """
    if not isinstance(answer, Reply):
        return answer
    status, where = answer.status, answer.origin
    if 200 <= status < 300:
        return Sent(note=f"HTTP {status}")
    if status in RETRIED or status >= 500 or status < 100:
        return Retry(
            reason=_explain(answer), after=parse_retry_after(answer.headers.get("retry-after", ""), now)
        )
    if 300 <= status < 400:
        target = answer.headers.get("location", "")
        to = f" to {_target(target)}" if target else ""
        return Rejected(reason=f"{where} answered {status}, a redirect{to}; redirects are not followed")
    if status == 410:
        return Rejected(reason=f"{where} answered 410: the receiver is gone and wants no more", gone=True)
    return Rejected(reason=_explain(answer))


def parse_retry_after(value: str, now: datetime) -> timedelta | None:
    """Return the wait that ``Retry-After`` asks for; None if it is empty, in the past or invalid.

    The value is a number of seconds, where a fraction is rounded up, or an HTTP-date (RFC 9110, section
    10.2.3).

    Args:
        now: an aware UTC instant.
    """
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=min(math.ceil(float(text)), 10**9)) or None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return at - now if at > now else None


def _explain(reply: Reply) -> str:
    excerpt = quote(reply.body, reply.hidden)
    return f"{reply.origin} answered {reply.status}" + (f": {excerpt}" if excerpt else "")


def _target(location: str) -> str:
    return quote(find_origin(location)) if "://" in location else "another path of the same host"
