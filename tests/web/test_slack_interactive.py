"""A click in Slack does the action of its button if Slack has signed it, and the person gets an answer."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr

from alertd.core.config import NotifierSpec, Receiver
from alertd.core.milestones.status import NO_ACTIONS, ActionKind
from alertd.notify.http.client import HttpClient
from alertd.notify.slack.notifier import SlackOptions
from alertd.system.secrets import SecretUnreadable
from alertd.testing import HttpSink
from alertd.web.server.context import OutboundServices
from tests.scene import when
from tests.web.acting import NAME, Acting, acting

SECRET, OTHER = "s" * 32, "o" * 32
PATH = "/slack/interactive"


@dataclass
class Workspace:
    """The server, and a fake of Slack that takes answers."""

    act: Acting
    sink: HttpSink

    def body(self, action: str = "alertd.acknowledge", value: str = NAME, **changes: Any) -> bytes:
        payload = {
            "type": "block_actions",
            "user": {"id": "U123", "username": "m.haddad"},
            "response_url": f"{self.sink.url}/actions/T1/2/x",
            "actions": [{"type": "button", "action_id": action, "value": value}],
            **changes,
        }
        return urlencode({"payload": json.dumps(payload)}).encode()

    async def click(self, body: bytes, secret: str = SECRET, late_s: int = 0) -> httpx.Response:
        at = int(self.act.stage.clock.now().timestamp()) - late_s
        mac = hmac.new(secret.encode(), b"v0:%d:" % at + body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": str(at),
            "x-slack-signature": f"v0={mac}",
        }
        return await self.act.stage.client().post(PATH, content=body, headers=headers)

    async def answers(self) -> Sequence[str]:
        """Stop the server, because it posts answers after its response, and return the answers."""
        await self.act.stage.serving.close()
        told = [json.loads(request.body) for request in self.sink.requests]
        assert all(answer["response_type"] == "ephemeral" for answer in told)
        return [answer["text"] for answer in told]


def read(name: str) -> str:
    if name != "signing":
        raise SecretUnreadable(f"secret file {name!r}: not found")
    return f"{OTHER}\n"


@asynccontextmanager
async def a_workspace(folder: Path, *options: dict[str, Any]) -> AsyncIterator[Workspace]:
    http = HttpClient()

    async def send_test(*_: object) -> list[Any]:
        return []

    async with HttpSink() as sink:
        outbound = OutboundServices(
            http=http, secret=read, send_test=send_test, slack_answers=(f"{sink.url}/actions/",)
        )
        async with acting(folder, "auth: {tokens_file: tokens}", outbound) as act:
            config = act.stage.site.config
            assert config is not None
            assert act.stage.definitions is not None
            slack = Receiver(
                name="slack",
                notifiers=tuple(
                    NotifierSpec(
                        name=f"slack{number}",
                        type="slack",
                        options=SlackOptions(token=SecretStr("xoxb-1"), channel="C1", **fields),
                    )
                    for number, fields in enumerate(options)
                ),
            )
            changed = replace(config, receivers={**config.receivers, "slack": slack})
            act.stage.definitions = replace(act.stage.definitions, config=changed)
            try:
                yield Workspace(act, sink)
            finally:
                await http.aclose()


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[Workspace]:
    options: list[dict[str, Any]] = [
        {"signing_secret": SecretStr(SECRET)},
        {"signing_secret_file": "signing"},
        {"signing_secret_file": "no"},
    ]
    async with a_workspace(tmp_path, *options) as made:
        yield made


async def test_click_acknowledges(slack: Workspace) -> None:
    """The acknowledgement lasts as long as one without a given end."""
    answer = await slack.click(slack.body())

    assert (answer.status_code, answer.content) == (200, b"")
    status = await slack.act.read_status()
    assert status.ack_until == when("2026-09-15T12:00")
    assert status.ack_by == "Slack user m.haddad (U123)"
    assert [entry.facts["how"] for entry in await slack.act.said()] == ["slack:U123"]
    (told,) = await slack.answers()
    assert told.startswith("Acknowledged t/m: no reminder until 15 September 2026")


async def test_click_snoozes_for_a_week(slack: Workspace) -> None:
    await slack.click(slack.body("alertd.snooze"))

    assert (await slack.act.read_status()).snooze_until == when("2026-09-08T12:00")


async def test_click_says_done_as_of_today(slack: Workspace) -> None:
    await slack.click(slack.body("alertd.done"))

    assert (await slack.act.read_status()).done_on == when("2026-09-01").date()
    assert (await slack.answers())[0].startswith("Done: t/m came about on 1 September 2026.")


async def test_any_of_the_apps_may_have_signed(slack: Workspace) -> None:
    await slack.click(slack.body(), secret=OTHER)

    assert (await slack.act.read_status()).ack_until is not None


async def test_second_click_says_that_nothing_is_new(slack: Workspace) -> None:
    for _ in range(2):
        await slack.click(slack.body("alertd.done"))

    assert len(await slack.act.said()) == 1
    assert (await slack.answers())[1].startswith("Nothing is new. Done: t/m")


@pytest.mark.parametrize(("secret", "late_s"), [("x" * 32, 0), (SECRET, 301), (SECRET, -301)])
async def test_what_slack_has_not_signed_lately_does_nothing(
    slack: Workspace, secret: str, late_s: int
) -> None:
    answer = await slack.click(slack.body(), secret=secret, late_s=late_s)

    assert answer.status_code == 401
    assert await slack.act.read_status() == NO_ACTIONS
    assert await slack.answers() == []


async def test_button_that_opens_a_page_is_answered_and_does_nothing(slack: Workspace) -> None:
    answer = await slack.click(slack.body("alertd.details"))

    assert (answer.status_code, answer.content) == (200, b"")
    assert await slack.act.read_status() == NO_ACTIONS
    assert await slack.answers() == []


async def test_what_is_no_click_is_refused(slack: Workspace) -> None:
    answer = await slack.click(b"payload=nonsense")

    assert answer.status_code == 400


async def test_click_on_what_is_closed_says_so(slack: Workspace) -> None:
    await slack.act.scene.act(ActionKind.CANCEL, NAME)

    answer = await slack.click(slack.body())
    await slack.click(slack.body(value="t/none"))

    assert answer.status_code == 200
    assert await slack.answers() == [
        "Not done: it is cancelled already; reopen it first.",
        "Not done: no milestone 't/none' is known.",
    ]


async def test_answer_goes_to_slack_alone(slack: Workspace) -> None:
    """No answer is posted to an address outside Slack, even if the request is signed."""
    await slack.click(slack.body(response_url=f"{slack.sink.url}/elsewhere"))

    assert await slack.answers() == []
    assert (await slack.act.read_status()).ack_until is not None


async def test_answer_that_does_not_arrive_undoes_nothing(slack: Workspace) -> None:
    slack.act.stage.clock.advance(slack.act.stage.clock.now() + timedelta(seconds=1))
    await slack.sink.__aexit__(None, None, None)

    answer = await slack.click(slack.body())
    await slack.act.stage.serving.close()

    assert answer.status_code == 200
    assert (await slack.act.read_status()).ack_until is not None
    assert "slack.unanswered" in [event["event"] for event in slack.act.stage.events]


async def test_without_a_signing_secret_there_is_nothing(tmp_path: Path) -> None:
    async with a_workspace(tmp_path, {}) as slack:
        answer = await slack.click(slack.body())

        assert answer.status_code == 404
        assert await slack.act.read_status() == NO_ACTIONS
