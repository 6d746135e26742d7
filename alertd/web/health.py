"""``/healthz``: the loop turns. ``/readyz``: the audit passed and the ledger can be reached.

Both are open to all and say nothing that is secret: a finding names milestones at the most, so without the
scope to read only its kind is shown.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from alertd.core.access import Scope
from alertd.errors import LedgerError
from alertd.web.server.access import needs, visitor_of
from alertd.web.server.context import Site, site_of


@needs(Scope.PUBLIC)
async def healthz(request: Request) -> Response:
    """Whoever is answered knows that the loop turns."""
    return _told(request, ())


@needs(Scope.PUBLIC)
async def readyz(request: Request) -> Response:
    """503 with what is wrong, as long as something is."""
    may_read = visitor_of(request).scope >= Scope.READ
    return _told(request, await _wrong(site_of(request), in_full=may_read))


async def _wrong(site: Site, *, in_full: bool) -> tuple[str, ...]:
    daemon_status = site.daemon_status()
    wrong = []
    if daemon_status.audit is None:
        wrong.append("it has not looked at everything once yet")
    else:
        wrong += [str(one) if in_full else one.fault.value for one in daemon_status.audit.findings]
        if not daemon_status.is_well and daemon_status.audit.is_sound:
            wrong.append("the last audit is too old")
    try:
        await site.ledger.version()
    except LedgerError:
        wrong.append("the ledger cannot be used")
    return tuple(dict.fromkeys(wrong))


def _told(request: Request, wrong: tuple[str, ...]) -> Response:
    status = 503 if wrong else 200
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"ok": not wrong, "wrong": list(wrong)}, status)
    return PlainTextResponse("".join(f"{one}\n" for one in wrong) or "ok\n", status)
