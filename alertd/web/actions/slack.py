"""Serves ``/slack/interactive``, to which Slack sends each click on a button of a message.

Slack expects the response within three seconds, so the result is posted to Slack after the response. For the
sources see :mod:`alertd.notify.slack.request`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.config import Config
from alertd.core.explain.request import ActionRequest
from alertd.core.ledger.outcome import Rejected, Retry
from alertd.core.milestones.status import ActionKind
from alertd.errors import FieldProblem, LedgerError, RefusedAction
from alertd.notify.slack.request import Click, build_answer, is_signed, parse_click
from alertd.system.secrets import SecretUnreadable
from alertd.system.telemetry import Event
from alertd.web.actions.perform import say
from alertd.web.server.access import RequestRefused, require_scope
from alertd.web.server.context import OutboundServices, find_site

KINDS = {"acknowledge": ActionKind.ACK, "snooze": ActionKind.SNOOZE, "done": ActionKind.DONE}
SNOOZE_FOR = "7d"
ANSWER_S = 10.0


@require_scope(Scope.PUBLIC, from_elsewhere=True)
async def slack_interactive(request: Request) -> Response:
    """Do the action of a click in Slack, if Slack has signed the request (``/slack/interactive``)."""
    site = find_site(request)
    outbound, config = site.outbound, site.config
    secrets = list(_list_secrets(config, outbound)) if config and outbound else []
    if not secrets or outbound is None:
        raise RequestRefused(404, "no notifier has a signing_secret of Slack's")
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not is_signed(secrets, headers, body, site.clock.now()):
        raise RequestRefused(401, "Slack has not signed this")
    try:
        click = parse_click(body)
    except ValueError as error:
        raise RequestRefused(400, f"the request {error}") from None
    if click is None:
        # The button only opens a page.
        return Response()
    told = await _act(request, click)
    return Response(background=BackgroundTask(_answer, request, outbound, click.response_url, told))


async def _act(request: Request, click: Click) -> str:
    saying = ActionRequest(
        kind=KINDS[click.kind],
        by=click.user,
        how=f"slack:{click.user_id}",
        until=SNOOZE_FOR if click.kind == "snooze" else "",
    )
    try:
        return (await say(request, click.milestone, saying)).told
    except (FieldProblem, RefusedAction) as refused:
        return f"Not done: {refused}."
    except LedgerError:
        return "Not done: the ledger cannot be used now. Try again soon."
    except RequestRefused as refused:
        return f"Not done: {refused.detail}."


def _list_secrets(config: Config, outbound: OutboundServices) -> Iterator[str]:
    """List the signing secrets of all Slack notifiers. A secret file that cannot be read is ignored."""
    for receiver in config.receivers.values():
        for spec in receiver.notifiers:
            options = spec.options if spec.type == "slack" else None
            given, file = (
                getattr(options, "signing_secret", None),
                getattr(options, "signing_secret_file", ""),
            )
            if given is not None:
                yield given.get_secret_value()
            elif file:
                try:
                    yield outbound.secret(file).strip()
                except SecretUnreadable:
                    continue


async def _answer(request: Request, outbound: OutboundServices, place: str, text: str) -> None:
    """Post the result of a click to Slack. The action has been done even if this fails."""
    if not place.startswith(outbound.slack_answers):
        return
    content = json.dumps(build_answer(text)).encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    answer = await outbound.http.post(place, content, headers, timeout_s=ANSWER_S)
    if isinstance(answer, Retry | Rejected):
        find_site(request).log.warning(Event.SLACK_UNANSWERED, reason=answer.reason)
