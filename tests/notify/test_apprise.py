"""Apprise: the texts that it gets, and the outcomes of its True and False."""

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from pydantic import ValidationError

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.apprise import AppriseNotifier, AppriseOptions, build_apprise_text
from alertd.notify.render.clean import clean_message
from alertd.notify.render.markup import count_units
from alertd.testing import (
    SAMPLES,
    Answer,
    Fault,
    HttpSink,
    Received,
    notifier_env,
    sample_message,
    with_links,
)
from alertd.testing.contract import HttpContract, Rig, Trouble
from tests.notify.contract import SECRET_PATH, OwnContract
from tests.notify.sending import body_of, crowd, long_story


async def send(
    *answers: Answer, query: str = "", timeout_s: float = 10
) -> tuple[Outcome, list[Received], str]:
    """Yield a notifier that uses Apprise's own JSON plugin, and the URL of a real server."""
    async with HttpSink(*answers) as sink:
        url = f"{sink.url.replace('http', 'json')}/canary-path?:key=canary-value{query}"
        notifier = AppriseNotifier(
            AppriseOptions.model_validate({"url": url, "timeout": timeout_s}), notifier_env()
        )
        outcome = await notifier.send(sample_message(), {})
        await notifier.aclose()
    return outcome, sink.requests, sink.url


async def test_a_yes_is_sent() -> None:
    outcome, (request,), _ = await send()

    assert outcome == Sent(note="Apprise says it was sent")
    body = body_of(request)
    assert body["title"].endswith("Forces stationed in the Kurdish autonomous region leave")
    assert body["message"].endswith(sample_message().id)
    assert body["type"] == "failure"


@pytest.mark.parametrize("status", [400, 403, 429, 500])
async def test_a_no_is_tried_again_whatever_it_was(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    outcome, _, _ = await send(Answer(status=status, body=b"canary-path"))

    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("Apprise says it was not sent: ")
    assert "canary" not in outcome.reason + caplog.text


async def test_a_redirect_is_not_followed() -> None:
    outcome, requests, _ = await send(Answer(status=302, headers={"Location": "/elsewhere"}), Answer())

    assert isinstance(outcome, Retry)
    assert len(requests) == 1


async def test_who_does_not_answer_in_time_may_have_it() -> None:
    outcome, _, _ = await send(Answer(fault=Fault.HANG), timeout_s=0.3, query="&rto=0.6")

    assert outcome == Retry(reason="Apprise did not end within 0.3 s", unknown=True)


@pytest.mark.parametrize(
    "message",
    [*(sample_message(name) for name in SAMPLES), long_story(), crowd()],
    ids=[*SAMPLES, "story", "crowd"],
)
@pytest.mark.parametrize("most", [100, 160, 600, 2_000, 32_768])
def test_it_fits_into_what_the_service_takes(message: Message, most: int) -> None:
    title, body = build_apprise_text(clean_message(with_links(message)), most)

    assert count_units(title) + count_units(body) <= most
    assert body.endswith(message.id)


@pytest.mark.parametrize("url", ["canary://x", "canary", "http://"])
def test_a_url_that_apprise_does_not_know_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AppriseOptions.model_validate({"url": url})

    assert "is not a URL that Apprise knows" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_a_file_that_holds_no_such_url_is_tried_again_and_not_quoted() -> None:
    options = AppriseOptions(url_file="apprise")
    notifier = AppriseNotifier(options, notifier_env(secrets={"apprise": "canary"}))

    outcome = await notifier.send(sample_message(), {})

    assert outcome == Retry(reason="what secret file 'apprise' holds is not a URL that Apprise knows")


def test_it_is_imported_only_when_it_is_used_and_says_so_where_it_is_missing() -> None:
    script = """
import sys
from pydantic import ValidationError
from alertd.app import load_option_models
options = load_option_models()["apprise"]
assert "apprise" not in sys.modules
sys.modules["apprise"] = None  # as if the package was not installed
try:
    options(url="json://localhost")
except ValidationError as error:
    print(error.errors()[0]["msg"])
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
    )

    assert done.stdout == "Value error, the package apprise is not installed; install alertd[apprise]\n"


class AppriseRig(Rig):
    def __init__(self, sink: HttpSink) -> None:
        url = sink.url.replace("http://", "json://") + SECRET_PATH
        super().__init__("apprise", {"url": url}, notifier_env())
        self.sink = sink

    def seen(self) -> str:
        return "\n".join(
            json.dumps([dict(request.headers), request.body.decode()]) for request in self.sink.requests
        )

    def bodies(self) -> Sequence[str]:
        bodies = [json.loads(request.body) for request in self.sink.requests]
        return [f"{body['title']}\n\n{body['message']}" for body in bodies]


class TestContract(OwnContract):
    type_name = "apprise"
    # Apprise gives no reason for a failure, so failures are always retried. It has its own timeouts.
    expected: Mapping[Trouble, tuple[type[Outcome], bool]] = dict.fromkeys(
        (Trouble.LATER, Trouble.NEVER, Trouble.NOBODY), (Retry, False)
    )

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        async with contextlib.AsyncExitStack() as stack:
            sink = await stack.enter_async_context(HttpSink(HttpContract.troubled.get(trouble, Answer())))
            rig = AppriseRig(sink)
            if trouble is Trouble.NOBODY:
                await sink.__aexit__(None, None, None)
            stack.push_async_callback(rig.notifier.aclose)
            yield rig

    def golden_options(self) -> Mapping[str, object] | None:
        return {"url": "json://receiver.example"}
