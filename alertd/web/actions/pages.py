"""Handles the forms of the pages: act on a milestone, retry a dead delivery, send a test message.

A form that succeeds is answered with a redirect (303), and the next page shows the result. A form with an
error is shown again: the error is beside its field, and the fields keep what was entered.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.explain.request import ActionRequest
from alertd.core.explain.words import make_status_lines
from alertd.core.ledger.outcome import describe_outcome
from alertd.core.ledger.records import Delivery, DeliveryState
from alertd.core.message.claims import make_claim_lines
from alertd.core.milestones.status import ActionKind
from alertd.core.words import join_with_and
from alertd.errors import FieldProblem, RefusedAction, UnknownDelivery
from alertd.web.actions.perform import KINDS, find_record, name_actor, read_form, say
from alertd.web.server.access import RequestRefused, find_principal, require_scope
from alertd.web.server.context import Site, Tested, find_site
from alertd.web.server.flash import redirect
from alertd.web.server.forms import MAX_NAME, make_form
from alertd.web.server.render import render_page


@require_scope(Scope.ACT)
async def act(request: Request) -> Response:
    """Show the form of an action (``/milestones/{timeline}/{name}/{kind}``), or act when it is sent."""
    kind = request.path_params["kind"]
    if kind not in KINDS:
        raise RequestRefused(404, "there is no such thing to do")
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    if request.method != "POST":
        return await _render_form(request, name, ActionKind(kind))
    given = await read_form(request)
    by, how = name_actor(find_principal(request), given.get("by", "")[:MAX_NAME])
    saying = ActionRequest(
        kind=ActionKind(kind),
        by=by,
        how=how,
        why=given.get("why", ""),
        until=given.get("until", ""),
        on=given.get("on", ""),
        evidence=given.get("evidence", ""),
    )
    try:
        answer = await say(request, name, saying)
    except FieldProblem as problem:
        return await _render_form(request, name, saying.kind, given=given, problem=problem)
    except RefusedAction as refused:
        return await _render_form(request, name, saying.kind, given=given, refused=str(refused))
    return redirect(find_site(request), f"/milestones/{name}", answer.told)


async def _render_form(
    request: Request,
    name: str,
    kind: ActionKind,
    *,
    given: dict[str, str] | None = None,
    problem: FieldProblem | None = None,
    refused: str = "",
) -> Response:
    site, principal = find_site(request), find_principal(request)
    record, now = await find_record(site, name), site.clock.now()
    return render_page(
        request,
        "action.html",
        409 if refused else 422 if problem else 200,
        milestone=record.milestone,
        claims=make_claim_lines(record.milestone, now, "", record.status.done_on),
        stands=list(make_status_lines(record.status, record.milestone.zone, now)),
        form=make_form(kind, record, site, asks_name=not principal.name, given=given, problem=problem),
        refused=refused,
    )


@require_scope(Scope.ACT)
async def retry(request: Request) -> Response:
    """Retry a dead delivery (``/deliveries/{name}/retry``)."""
    await read_form(request)
    name = request.path_params["name"]
    by, _ = name_actor(find_principal(request))
    try:
        again = await send_again(find_site(request), name, f"{by}, on the page")
    except RefusedAction as refused:
        raise RequestRefused(409, str(refused)) from None
    return redirect(
        find_site(request), f"/deliveries/{again.id}", f"It will be sent again to {again.channel}."
    )


async def send_again(site: Site, name: str, by: str) -> Delivery:
    """Make a dead delivery ready to be sent again, and return it.

    A delivery that is ready already is returned unchanged, so that a second click does no harm.

    Raises:
        RequestRefused: no delivery has that id (404).
        RefusedAction: the delivery is neither dead nor ready.
    """
    try:
        return await site.ledger.retry(name, site.clock.now(), by)
    except UnknownDelivery:
        raise RequestRefused(404, f"no delivery {name[:200]!r} is known") from None
    except RefusedAction:
        found = await site.ledger.find_deliveries(delivery=name, limit=1)
        if found and found[0][0].state is DeliveryState.READY:
            return found[0][0]
        raise


@require_scope(Scope.ACT)
async def send_test(request: Request) -> Response:
    """Send a test message to each notifier of a receiver (``/send-test``)."""
    site, given = find_site(request), await read_form(request)
    tried = await run_test(site, given.get("receiver", ""))
    told = [f"{channel} {describe_outcome(outcome)}" for channel, outcome in tried]
    text = f"Test: {join_with_and(told)}." if told else "That receiver has no notifier: nothing was sent."
    return redirect(site, "/deliveries", text)


async def run_test(site: Site, receiver: str) -> Tested:
    """Send a test message to each notifier of a receiver, and return the outcome for each channel.

    Raises:
        RequestRefused: no receiver has that name (404), or another test is running (429).
    """
    config, outbound = site.config, site.outbound
    if config is None or outbound is None or receiver not in config.receivers:
        raise RequestRefused(404, f"no receiver {receiver[:200]!r} is known")
    if outbound.testing.locked():
        raise RequestRefused(429, "a test is under way; try again soon", {"retry-after": "5"})
    async with outbound.testing:
        return await outbound.send_test(config, receiver)
