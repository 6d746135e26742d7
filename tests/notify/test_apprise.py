"""Apprise: the texts that it gets, and the outcomes of its True and False."""

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from apprise.manager_plugins import NotificationManager
from apprise.plugins.telegram import NotifyTelegram
from pydantic import ValidationError

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify import build_frame
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
from tests.notify.sending import body_of, crowd, long_story, titled


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


SNARE = (
    "<b>A</b> & *x* @everyone <@U1> <@&2> <!here> [y](https://evil.example) https://x.example/a_b?c=1&d=2."
)


async def receive(url: str, message: Message | None = None) -> dict[str, Any]:
    """Return the JSON that one of Apprise's own plugins sends for a message.

    Args:
        url: a URL of Apprise, in which HOST stands for the server's host and port.
    """
    async with HttpSink() as sink:
        host = sink.url.removeprefix("http://")
        options = AppriseOptions.model_validate({"url": url.replace("HOST", host)})
        notifier = AppriseNotifier(options, notifier_env())
        outcome = await notifier.send(message or titled(SNARE), {})
        await notifier.aclose()
    assert isinstance(outcome, Sent), outcome
    (request,) = sink.requests
    return body_of(request)


# The format of what Apprise sends, and what stands there for the words of SNARE.
ARRIVES = {
    "text": "<b>A</b> & *x* @\u2060everyone <\u2060@\u2060U1> <\u2060@&2> <\u2060!here> [y](https://evil.example)"
    " https://x.example/a_b?c=1&d=2.",
    "html": "&lt;b&gt;A&lt;/b&gt; &amp; *x* @\u2060everyone &lt;\u2060@\u2060U1&gt; &lt;\u2060@&amp;2&gt;"
    " &lt;\u2060!here&gt; [y](https://evil.example) https://x.example/a_b?c=1&amp;d=2.",
    "markdown": r"<b\>A</b\> & \*x\* @{0}everyone <{0}@{0}U1\> <{0}@&2\> <{0}\!here\> \[y\]\(<https://evil.example>\)"
    r" <https://x.example/a_b?c=1&d=2>\.".format("\u2060"),
}


@pytest.mark.parametrize("text_format", ARRIVES)
async def test_no_text_becomes_markup_or_a_mention_in_any_format(text_format: str) -> None:
    body = await receive(f"json://HOST/?format={text_format}")

    # Apprise writes spaces as &nbsp; in HTML.
    assert ARRIVES[text_format] in body["message"].replace("&nbsp;", " ")
    assert ARRIVES["text"] in body["title"]


async def test_a_title_that_apprise_puts_into_the_body_is_escaped_for_markdown() -> None:
    # Rocket.Chat takes only Markdown and has no field for a title.
    body = await receive("rocket://aaaaaaaaaaaaaaaaa%2Fbbbbbbbbbbbbbbbbbbbbbbbb@HOST/?avatar=no")

    assert ARRIVES["markdown"] in body["text"].splitlines()[0]
    assert body["text"].startswith("# ")


async def test_telegram_gets_no_tags_from_a_text() -> None:
    class LocalTelegram(NotifyTelegram):  # type: ignore[no-untyped-call]
        """Apprise's own plugin, with the server's URL in place of Telegram's."""

        secure_protocol = "localtelegram"

        @staticmethod
        def parse_url(url: Any, *_: Any, **__: Any) -> Any:
            parsed: Any = NotifyTelegram.parse_url(  # type: ignore[no-untyped-call]
                url.replace("localtelegram:", "tgram:", 1)
            )
            return parsed and {**parsed, "schema": "localtelegram"}

    plugins: Any = NotificationManager()  # type: ignore[no-untyped-call]
    plugins.add(LocalTelegram)
    try:
        async with HttpSink() as sink:
            LocalTelegram.notify_url = f"{sink.url}/bot"
            url = "localtelegram://123456789:abcdefg_hijklmnop/12315544"
            notifier = AppriseNotifier(AppriseOptions.model_validate({"url": url}), notifier_env())
            outcome = await notifier.send(titled("1 < 2 <b>A <i>& @everyone"), {})
            await notifier.aclose()
    finally:
        plugins.remove("localtelegram")

    assert isinstance(outcome, Sent)
    body = body_of(sink.requests[0])
    assert body["parse_mode"] == "HTML"
    safe = "1 &lt; 2 &lt;b&gt;A &lt;i&gt;&amp; @\u2060everyone"
    title, text = body["text"].split("</b>", 1)
    assert title.startswith("<b>")
    assert title.endswith(safe)
    assert safe in text
    assert "<" not in title.removeprefix("<b>") + text


async def test_links_stay_whole_in_markdown() -> None:
    body = await receive("json://HOST/?format=markdown", with_links(sample_message()))

    links = [link.url for link in build_frame(clean_message(with_links(sample_message()))).links]
    assert links
    assert all(f"<{url}>" in body["message"] for url in links)


async def test_an_at_sign_in_a_url_does_not_break_the_url() -> None:
    body = await receive("json://HOST", titled("https://social.example/@everyone and a@mail.example"))

    assert "https://social.example/%40everyone and a@mail.example" in body["message"]


async def test_a_mention_of_everyone_within_a_word_is_suppressed() -> None:
    body = await receive("json://HOST", titled("x@everyone, x@here. a@mail.example"))

    assert "x@\u2060everyone, x@\u2060here. a@mail.example" in body["message"]


@pytest.mark.parametrize("most", [100, 700, 2_000])
def test_what_is_escaped_fits_too(most: int) -> None:
    message = clean_message(titled("_*" * 60))

    title, body = build_apprise_text(message, most, lambda text: re.sub(r"([_*-])", r"\\\1", text))

    assert count_units(title) + count_units(body) <= most


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
from alertd.app import OptionModels
options = OptionModels()["apprise"]
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
