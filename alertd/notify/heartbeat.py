"""The dead man's switch: reports the result of each self-audit to a monitoring service outside.

The service, such as a Healthchecks check, raises an alarm when no report arrives. alertd cannot report its
own absence.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from alertd.core.config import Heartbeat
from alertd.core.ledger.outcome import Sent
from alertd.core.planning.audit import Audit
from alertd.notify.http.client import HttpClient
from alertd.notify.http.reply import judge_answer
from alertd.ports import Clock
from alertd.system.secrets import SecretUnreadable

MAX_BODY = 10_000


async def beat(
    http: HttpClient, clock: Clock, secret: Callable[[str], str], heartbeat: Heartbeat, audit: Audit
) -> str:
    """Post to the configured address; after a failed audit, post the findings to its ``/fail`` path.

    Returns:
        "" on success, else the reason of the failure, without the address.
    """
    try:
        url = heartbeat.url or secret(heartbeat.url_file).strip()
    except SecretUnreadable as error:
        return str(error)
    body = "\n".join(str(finding) for finding in audit.findings)[:MAX_BODY]
    answer = await http.post(
        url if audit.passed else _fail_url(url), body.encode(), {"content-type": "text/plain; charset=utf-8"}
    )
    outcome = judge_answer(answer, clock.now())
    return "" if isinstance(outcome, Sent) else outcome.reason


def _fail_url(url: str) -> str:
    """Return ``https://host/ping/uuid`` as ``https://host/ping/uuid/fail``.

    Source: the documentation of Healthchecks, "Signaling failures".
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail"))
