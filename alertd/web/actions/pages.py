"""What is done from the pages: say something of a milestone, send a dead delivery again, send a test.

A form that was sent is answered with 303, and the page that it leads to says what came of it; what cannot be
is shown at its field, with everything as it was filled in.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.explain.request import ActionRequest
from alertd.core.explain.words import standing_lines
from alertd.core.ledger.outcome import ended_words
from alertd.core.ledger.records import Delivery, DeliveryState
from alertd.core.message.claims import claim_lines
from alertd.core.milestones.status import ActionKind
from alertd.core.words import listing
from alertd.errors import FieldProblem, RefusedAction, UnknownDelivery
from alertd.web.actions.forms import MAX_NAME, form_of
from alertd.web.actions.perform import KINDS, fields_of, record_of, say, who
from alertd.web.server.access import RequestRefused, needs, visitor_of
from alertd.web.server.context import Site, Tested, site_of
from alertd.web.server.flash import sent_on
from alertd.web.server.render import page


@needs(Scope.ACT)
async def act(request: Request) -> Response:
    """``/milestones/{timeline}/{name}/{kind}``: the form alone, and what is sent with it."""
    kind = request.path_params["kind"]
    if kind not in KINDS:
        raise RequestRefused(404, "there is no such thing to do")
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    if request.method != "POST":
        return await _form(request, name, ActionKind(kind))
    given = await fields_of(request)
    by, how = who(visitor_of(request), given.get("by", "")[:MAX_NAME])
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
        return await _form(request, name, saying.kind, given=given, problem=problem)
    except RefusedAction as refused:
        return await _form(request, name, saying.kind, given=given, refused=str(refused))
    return sent_on(site_of(request), f"/milestones/{name}", answer.told)


async def _form(
    request: Request,
    name: str,
    kind: ActionKind,
    *,
    given: dict[str, str] | None = None,
    problem: FieldProblem | None = None,
    refused: str = "",
) -> Response:
    site, visitor = site_of(request), visitor_of(request)
    record, now = await record_of(site, name), site.clock.now()
    return page(
        request,
        "action.html",
        409 if refused else 422 if problem else 200,
        milestone=record.milestone,
        claims=claim_lines(record.milestone, now, "", record.standing.done_on),
        stands=list(standing_lines(record.standing, record.milestone.zone, now)),
        form=form_of(kind, record, site, asks_name=not visitor.name, given=given, problem=problem),
        refused=refused,
    )


@needs(Scope.ACT)
async def retry(request: Request) -> Response:
    """``/deliveries/{name}/retry``."""
    await fields_of(request)
    name = request.path_params["name"]
    by, _ = who(visitor_of(request))
    try:
        again = await sent_again(site_of(request), name, f"{by}, on the page")
    except RefusedAction as refused:
        raise RequestRefused(409, str(refused)) from None
    return sent_on(site_of(request), f"/deliveries/{again.id}", f"It will be sent again to {again.channel}.")


async def sent_again(site: Site, name: str, by: str) -> Delivery:
    """A dead delivery made ready; one that somebody has just sent again is left as it is.

    Raises:
        Refusal: there is none of that id (404).
        RefusedAction: it is not dead.
    """
    try:
        return await site.ledger.retry(name, site.clock.now(), by)
    except UnknownDelivery:
        raise RequestRefused(404, f"no delivery {name[:200]!r} is known") from None
    except RefusedAction:
        found = await site.ledger.deliveries(delivery=name, limit=1)
        if found and found[0][0].state is DeliveryState.READY:
            return found[0][0]
        raise


@needs(Scope.ACT)
async def send_test(request: Request) -> Response:
    """``/send-test``: a test message to each notifier of a receiver."""
    site, given = site_of(request), await fields_of(request)
    tried = await tested(site, given.get("receiver", ""))
    told = [f"{channel} {ended_words(outcome)}" for channel, outcome in tried]
    text = f"Test: {listing(told)}." if told else "That receiver has no notifier: nothing was sent."
    return sent_on(site, "/deliveries", text)


async def tested(site: Site, receiver: str) -> Tested:
    """How each notifier of a receiver fared with a test message, by channel.

    Raises:
        Refusal: there is no such receiver (404), or a test is under way already (429).
    """
    config, outward = site.config, site.outward
    if config is None or outward is None or receiver not in config.receivers:
        raise RequestRefused(404, f"no receiver {receiver[:200]!r} is known")
    if outward.testing.locked():
        raise RequestRefused(429, "a test is under way; try again soon", {"retry-after": "5"})
    async with outward.testing:
        return await outward.send_test(config, receiver)
