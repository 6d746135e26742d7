"""``/slack/interactive``: somebody has clicked a button of a message in Slack.

Slack waits three seconds for the answer, so what is to be said to whoever clicked is posted after it. Source:
the pages named in :mod:`alertd.notify.slack.request`.
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
from alertd.notify.slack.request import Click, answer_of, click_of, is_signed
from alertd.system.secrets import SecretUnreadable
from alertd.system.telemetry import Event
from alertd.web.actions.perform import say
from alertd.web.server.access import RequestRefused, needs
from alertd.web.server.context import OutboundServices, site_of

KINDS = {"acknowledge": ActionKind.ACK, "snooze": ActionKind.SNOOZE, "done": ActionKind.DONE}
SNOOZE_FOR = "7d"
ANSWER_S = 10.0


@needs(Scope.PUBLIC, from_elsewhere=True)
async def slack_interactive(request: Request) -> Response:
    """``/slack/interactive``: signed by Slack, or refused."""
    site = site_of(request)
    outward, config = site.outward, site.config
    secrets = list(_secrets(config, outward)) if config and outward else []
    if not secrets or outward is None:
        raise RequestRefused(404, "no notifier has a signing_secret of Slack's")
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not is_signed(secrets, headers, body, site.clock.now()):
        raise RequestRefused(401, "Slack has not signed this")
    try:
        click = click_of(body)
    except ValueError as error:
        raise RequestRefused(400, f"the request {error}") from None
    if click is None:
        # A button that opens a page.
        return Response()
    told = await _said(request, click)
    return Response(background=BackgroundTask(_answer, request, outward, click.response_url, told))


async def _said(request: Request, click: Click) -> str:
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


def _secrets(config: Config, outward: OutboundServices) -> Iterator[str]:
    """The signing secrets of all Slack notifiers; one that cannot be read signs nothing."""
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
                    yield outward.secret(file).strip()
                except SecretUnreadable:
                    continue


async def _answer(request: Request, outward: OutboundServices, place: str, text: str) -> None:
    """Tell whoever clicked what came of it. When that fails, it is done all the same."""
    if not place.startswith(outward.slack_answers):
        return
    content = json.dumps(answer_of(text)).encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    answer = await outward.http.post(place, content, headers, timeout_s=ANSWER_S)
    if isinstance(answer, Retry | Rejected):
        site_of(request).log.warning(Event.SLACK_UNANSWERED, reason=answer.reason)
