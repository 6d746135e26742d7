"""Microsoft Teams: the requests that it gets, and the outcomes of its answers."""

from collections.abc import Mapping

import pytest

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.base import encode_json
from alertd.notify.render.clean import clean_message
from alertd.notify.teams import build_teams_payload
from alertd.testing import SAMPLES, Answer, sample_message, with_links
from tests.notify.card import faults, texts
from tests.notify.contract import SECRET_PATH, ServiceContract
from tests.notify.sending import body_of, crowd, long_story, sent, titled

DOCUMENTED_BYTES = 28 * 1024


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_is_a_card_without_a_fault(name: str) -> None:
    message = clean_message(with_links(sample_message(name)))
    (attachment,) = build_teams_payload(message)["attachments"]

    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert faults(attachment["content"]) == []
    assert message.id in texts(attachment["content"])[-1]


@pytest.mark.parametrize(
    "message", [long_story(), crowd(), titled("🔴" * 2_000), titled("\"'\\<&" * 500)], ids=range(4)
)
def test_what_is_too_long_is_shortened(message: Message) -> None:
    message = clean_message(with_links(message))
    payload = build_teams_payload(message)

    card = payload["attachments"][0]["content"]
    assert len(encode_json(payload)) <= DOCUMENTED_BYTES
    assert faults(card) == []
    assert message.id in texts(card)[-1]


def test_the_rest_of_many_is_counted() -> None:
    said = texts(build_teams_payload(clean_message(crowd()))["attachments"][0]["content"])

    assert any("more, not listed here" in text for text in said)


def test_no_text_is_read_as_markdown_or_mentions_anybody() -> None:
    text = "[click](https://evil.example) **now** <at>Everyone</at>"

    card = build_teams_payload(clean_message(titled(text)))["attachments"][0]["content"]

    assert text in texts(card)
    # A TextRun shows its text unchanged: only a TextBlock reads Markdown, and only `msteams.entities`
    # mention.
    assert "'TextBlock'" not in str(card)
    assert card["msteams"] == {"width": "Full"}


def test_the_edge_tells_how_urgent_it_is() -> None:
    styles = {
        name: build_teams_payload(sample_message(name))["attachments"][0]["content"]["body"][0]["style"]
        for name in ("contested", "opens", "done", "moved", "notice")
    }

    assert styles == {
        "contested": "attention", "opens": "warning", "done": "good", "moved": "accent", "notice": "emphasis",
    }  # fmt: skip


async def test_a_workflow_takes_it_by_its_url() -> None:
    outcome, (request,) = await sent(
        "teams", lambda url: {"url": f"{url}/workflows/1?sig=abc"}, Answer(status=202, body=b"")
    )

    assert outcome == Sent(note="HTTP 202")
    assert request.path == "/workflows/1?sig=abc"
    assert body_of(request)["type"] == "message"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Microsoft Teams endpoint returned HTTP error 429 with ContextId x", Retry),
        ("Microsoft Teams endpoint returned HTTP error 503 with ContextId x", Retry),
        ("Webhook message delivery failed with error: returned HTTP error 413 with x", Rejected),
        ("returned HTTP error 400", Rejected),
        ("1", Sent),
    ],
)
async def test_a_failure_that_comes_with_a_200_is_a_failure(body: str, expected: type) -> None:
    outcome, _ = await sent("teams", lambda url: {"url": url}, Answer(body=body.encode()))

    assert isinstance(outcome, expected)
    assert not getattr(outcome, "gone", False)


async def test_a_secret_file_that_holds_no_url_is_tried_again_and_not_quoted() -> None:
    outcome, requests = await sent("teams", lambda _: {"url_file": "teams"}, secrets={"teams": "canary"})

    assert outcome == Retry(reason="what secret file 'teams' holds is not an http or https URL with a host")
    assert requests == []


class TestContract(ServiceContract):
    type_name = "teams"
    takes = (Answer(status=202, body=b""), Answer(body=b"1"))

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {"url": url + SECRET_PATH, "timeout": timeout_s}
