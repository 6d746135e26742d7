"""Serves the health checks: ``/healthz`` tests the event loop, and ``/readyz`` tests the whole daemon.

The daemon is ready if its last self-audit passed, the ledger can be read and written, nothing is late and the
loop is not stuck. The daemon knows the last three without the ledger. Both pages are public.
Because the findings name milestones, a client without the scope to read sees only the kind of each finding.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from alertd.core.access import Scope
from alertd.errors import LedgerError
from alertd.web.server.access import find_principal, require_scope
from alertd.web.server.context import Site, find_site

ANSWER_WITHIN_S = 3.0
"""How long the ledger may take to answer. A probe does not wait for longer either."""


@require_scope(Scope.PUBLIC)
async def healthz(request: Request) -> Response:
    """Answer, which proves that the event loop runs (``/healthz``)."""
    return _answer(request, ())


@require_scope(Scope.PUBLIC)
async def readyz(request: Request) -> Response:
    """Answer 200 if the daemon is ready, otherwise 503 with the problems (``/readyz``)."""
    may_read = find_principal(request).scope >= Scope.READ
    return _answer(request, await _list_problems(find_site(request), in_full=may_read))


async def _list_problems(site: Site, *, in_full: bool) -> tuple[str, ...]:
    daemon_status = site.daemon_status()
    wrong = []
    if daemon_status.audit is None:
        wrong.append("it has not looked at everything once yet")
    wrong += [str(finding) if in_full else finding.fault.value for finding in daemon_status.findings]
    if not daemon_status.is_well and not daemon_status.current:
        audit = daemon_status.audit
        if audit is not None and audit.is_sound:
            wrong.append("the last audit is too old")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await site.ledger.read_version()
    except TimeoutError:
        wrong.append("the ledger does not answer")
    except LedgerError:
        wrong.append("the ledger cannot be used")
    return tuple(dict.fromkeys(wrong))


def _answer(request: Request, wrong: tuple[str, ...]) -> Response:
    status = 503 if wrong else 200
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"ok": not wrong, "wrong": list(wrong)}, status)
    return PlainTextResponse("".join(f"{problem}\n" for problem in wrong) or "ok\n", status)
