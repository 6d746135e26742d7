"""``/api/v1``, what changes something: say something of a milestone, send a delivery again, send a test."""

from __future__ import annotations

from starlette.requests import Request

from alertd.core.access import Scope
from alertd.core.explain.facts import record_facts
from alertd.core.explain.request import ActionRequest
from alertd.core.ledger.outcome import Sent, ended_words
from alertd.core.milestones.status import ActionKind
from alertd.errors import FieldProblem
from alertd.web.actions.pages import sent_again, tested
from alertd.web.actions.perform import KINDS, say
from alertd.web.api.read import facts_of_delivery
from alertd.web.api.request import Facts, Params, answered, body_of
from alertd.web.server.access import needs, visitor_of
from alertd.web.server.context import site_of

FIELDS = ("kind", "why", "until", "on", "evidence")


@needs(Scope.ACT)
@answered
async def act(request: Request) -> Facts:
    """``/api/v1/milestones/{timeline}/{name}/actions``."""
    Params(request, ())
    given = await body_of(request, FIELDS)
    kind = given.get("kind", "")
    if kind not in KINDS:
        raise FieldProblem("kind", f"write one of {', '.join(one.value for one in ActionKind)}")
    visitor = visitor_of(request)
    saying = ActionRequest(
        kind=ActionKind(kind),
        by=visitor.by,
        how=f"api:{visitor.name or visitor.address}",
        why=given.get("why", ""),
        until=given.get("until", ""),
        on=given.get("on", ""),
        evidence=given.get("evidence", ""),
    )
    name = f"{request.path_params['timeline']}/{request.path_params['name']}"
    answer = await say(request, name, saying)
    return {
        "changed": answer.is_new,
        "told": answer.told,
        "milestone": record_facts(answer.record, site_of(request).clock.now()),
    }


@needs(Scope.ACT)
@answered
async def retry(request: Request) -> Facts:
    """``/api/v1/deliveries/{name}/retry``."""
    Params(request, ())
    await body_of(request, ())
    site, name = site_of(request), request.path_params["name"]
    await facts_of_delivery(site, name)
    await sent_again(site, name, f"{visitor_of(request).by}, by the API")
    return await facts_of_delivery(site, name)


@needs(Scope.ACT)
@answered
async def send_test(request: Request) -> Facts:
    """``/api/v1/send-test``."""
    Params(request, ())
    given = await body_of(request, ("receiver",))
    if "receiver" not in given:
        raise FieldProblem("receiver", "say which receiver")
    return {
        "tried": [
            {"channel": channel, "accepted": isinstance(outcome, Sent), "told": ended_words(outcome)}
            for channel, outcome in await tested(site_of(request), given["receiver"])
        ]
    }
