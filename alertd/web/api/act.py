"""Handles the operations of ``/api/v1`` that act: on milestones, on deliveries, and to send a test."""

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
from alertd.web.actions.pages import run_test, send_again
from alertd.web.actions.perform import KINDS, say
from alertd.web.api.read import find_delivery_facts
from alertd.web.api.request import MAX_FIELD, ApiRequest, declare_operation
from alertd.web.server.access import find_principal
from alertd.web.server.context import find_site

_EXAMPLE: JsonDict = {"kind": "ack", "until": "7d", "why": "the vendor has confirmed it"}


@with_config(ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]}))
class ActionBody(TypedDict):
    """An action on a milestone."""

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
    """A body without fields."""


@with_config(ConfigDict(extra="forbid"))
class TestBody(TypedDict):
    """The receiver of a test."""

    receiver: Annotated[str, Doc(maxLength=MAX_FIELD)]


class ActedFacts(TypedDict):
    """The result of an action."""

    changed: Annotated[bool, Doc("False if the milestone was in this state before.")]
    told: Annotated[str, Doc("The result in sentences.")]
    milestone: MilestoneFacts


class TriedFacts(TypedDict):
    """The result of a test for one notifier."""

    channel: Annotated[str, Doc("receiver/notifier")]
    accepted: bool
    told: str


class TestedFacts(TypedDict):
    """The result of a test for each notifier of a receiver."""

    tried: list[TriedFacts]


@declare_operation("POST", "/milestones/{timeline}/{name}/actions", Scope.ACT, body=ActionBody)
async def act(request: Request, asked: ApiRequest) -> ActedFacts:
    """Acknowledge, snooze, mark as done, cancel or reopen. A repeated action has no effect."""
    given = asked.fields
    kind = given.get("kind", "")
    if kind not in KINDS:
        raise FieldProblem("kind", f"write one of {', '.join(ActionKind)}")
    principal = find_principal(request)
    saying = ActionRequest(
        kind=ActionKind(kind),
        by=principal.by,
        how=f"api:{principal.name or principal.address}",
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
        "milestone": make_record_facts(answer.record, find_site(request).clock.now()),
    }


@declare_operation("POST", "/deliveries/{name}/retry", Scope.ACT, body=NothingBody)
async def retry_delivery(request: Request, _asked: ApiRequest) -> DeliveryFacts:
    """Send a dead delivery again, under the same id. A delivery that already waits is left unchanged."""
    site, name = find_site(request), request.path_params["name"]
    await find_delivery_facts(site, name)
    await send_again(site, name, f"{find_principal(request).by}, by the API")
    return await find_delivery_facts(site, name)


@declare_operation("POST", "/send-test", Scope.ACT, body=TestBody)
async def send_test(request: Request, asked: ApiRequest) -> TestedFacts:
    """Send a test message to each notifier of a receiver, once."""
    if "receiver" not in asked.fields:
        raise FieldProblem("receiver", "say which receiver")
    return {
        "tried": [
            {"channel": channel, "accepted": isinstance(outcome, Sent), "told": describe_outcome(outcome)}
            for channel, outcome in await run_test(find_site(request), asked.fields["receiver"])
        ]
    }


ENDPOINTS = (act, retry_delivery, send_test)
