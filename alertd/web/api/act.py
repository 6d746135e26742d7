"""``/api/v1``, what is done: say something of a milestone, send a delivery again, send a test."""

from __future__ import annotations

from typing import Annotated, NotRequired

from pydantic import ConfigDict, with_config
from pydantic.config import JsonDict
from starlette.requests import Request
from typing_extensions import TypedDict

from alertd.core.access import Scope
from alertd.core.explain.facts import DeliveryFacts, MilestoneFacts, make_record_facts
from alertd.core.explain.request import ActionRequest
from alertd.core.ledger.outcome import Sent, describe_outcome
from alertd.core.milestones.status import ActionKind
from alertd.core.shape import Doc
from alertd.errors import FieldProblem
from alertd.web.actions.pages import sent_again, tested
from alertd.web.actions.perform import KINDS, say
from alertd.web.api.read import facts_of_delivery
from alertd.web.api.request import MAX_FIELD, ApiRequest, operation
from alertd.web.server.access import visitor_of
from alertd.web.server.context import site_of

_EXAMPLE: JsonDict = {"kind": "ack", "until": "7d", "why": "the vendor has confirmed it"}


@with_config(ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]}))
class ActionBody(TypedDict):
    """What is said of a milestone."""

    kind: ActionKind
    why: NotRequired[Annotated[str, Doc(maxLength=1000)]]
    until: NotRequired[
        Annotated[
            str,
            Doc(
                "For ack and snooze: a date, a time, an instant or a duration such as 7d. An acknowledgement "
                "without it holds for ack_expires of alertd.yaml.",
                maxLength=MAX_FIELD,
            ),
        ]
    ]
    on: NotRequired[Annotated[str, Doc("For done: the date; without it today.", maxLength=MAX_FIELD)]]
    evidence: NotRequired[Annotated[str, Doc(maxLength=1000)]]


@with_config(ConfigDict(extra="forbid"))
class NothingBody(TypedDict):
    """No field at all."""


@with_config(ConfigDict(extra="forbid"))
class TestBody(TypedDict):
    """Where a test is sent."""

    receiver: Annotated[str, Doc(maxLength=MAX_FIELD)]


class ActedFacts(TypedDict):
    """What came of an action."""

    changed: Annotated[bool, Doc("False when the same had been said before.")]
    told: Annotated[str, Doc("What holds now, in sentences.")]
    milestone: MilestoneFacts


class TriedFacts(TypedDict):
    """How a notifier fared with a test."""

    channel: Annotated[str, Doc("receiver/notifier")]
    accepted: bool
    told: str


class TestedFacts(TypedDict):
    """How each notifier of a receiver fared with a test."""

    tried: list[TriedFacts]


@operation("POST", "/milestones/{timeline}/{name}/actions", Scope.ACT, body=ActionBody)
async def act(request: Request, asked: ApiRequest) -> ActedFacts:
    """Acknowledge, snooze, mark as done, cancel or reopen. The same action sent twice is done once."""
    given = asked.fields
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
        "milestone": make_record_facts(answer.record, site_of(request).clock.now()),
    }


@operation("POST", "/deliveries/{name}/retry", Scope.ACT, body=NothingBody)
async def retry_delivery(request: Request, _asked: ApiRequest) -> DeliveryFacts:
    """Send a dead delivery again, under the same id. One that waits already is left as it is."""
    site, name = site_of(request), request.path_params["name"]
    await facts_of_delivery(site, name)
    await sent_again(site, name, f"{visitor_of(request).by}, by the API")
    return await facts_of_delivery(site, name)


@operation("POST", "/send-test", Scope.ACT, body=TestBody)
async def send_test(request: Request, asked: ApiRequest) -> TestedFacts:
    """Send a test message to each notifier of a receiver, once."""
    if "receiver" not in asked.fields:
        raise FieldProblem("receiver", "say which receiver")
    return {
        "tried": [
            {"channel": channel, "accepted": isinstance(outcome, Sent), "told": describe_outcome(outcome)}
            for channel, outcome in await tested(site_of(request), asked.fields["receiver"])
        ]
    }


ENDPOINTS = (act, retry_delivery, send_test)
