"""The dead man's switch: tells an address outside that the self-audit passes, or what it found.

Whoever is there (a Healthchecks check, say) raises the alarm when nothing comes: the one failure
that alertd cannot tell of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from alertd.core.config import Heartbeat
from alertd.core.ledger.outcome import Sent
from alertd.core.planning.audit import Audit
from alertd.notify.http.client import HttpClient
from alertd.notify.http.reply import outcome_of
from alertd.ports import Clock
from alertd.system.secrets import SecretUnreadable

MAX_BODY = 10_000


async def beat(
    http: HttpClient, clock: Clock, secret: Callable[[str], str], heartbeat: Heartbeat, audit: Audit
) -> str:
    """Post to the address, or to its ``/fail`` with the findings in the body.

    Returns why it did not work, without the address; "" when it did.
    """
    try:
        url = heartbeat.url or secret(heartbeat.url_file).strip()
    except SecretUnreadable as error:
        return str(error)
    body = "\n".join(str(finding) for finding in audit.findings)[:MAX_BODY]
    answer = await http.post(
        url if audit.passed else _failing(url), body.encode(), {"content-type": "text/plain; charset=utf-8"}
    )
    outcome = outcome_of(answer, clock.now())
    return "" if isinstance(outcome, Sent) else outcome.reason


def _failing(url: str) -> str:
    """``https://host/ping/uuid`` as ``https://host/ping/uuid/fail`` (Healthchecks, "Signaling failures")."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail"))
