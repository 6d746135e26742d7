"""What a gateway for text messages gets, how a text is cut, and what becomes of each recipient."""

import base64
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alertd.notify import Env, Message, Outcome, Rejected, Retry, Sent, clean_message
from alertd.notify.sms import SmsNotifier, SmsOptions, build_sms_text, count_segments
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
from alertd.testing.contract import CANARY
from tests.notify.contract import ServiceContract, json_answer
from tests.notify.sending import Options, crowd, long_story, said, sent, titled

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
ADA, BO, CY = "+4915112345678", "+9647701234567", "+12025550123"
QUEUED = json_answer({"sid": "SM1", "status": "queued", "error_code": None}, 201)
INVALID = said(
    {"code": 21211, "message": "The 'To' number is not a valid phone number.", "status": 400,
     "more_info": "https://www.twilio.com/docs/errors/21211"}, 400,
)  # fmt: skip
STOPPED = said({"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}, 400)
BUSY = said({"code": 20429, "message": "Too many requests", "status": 429}, 429, **{"Retry-After": "30"})


def account(*to: str, **more: object) -> Options:
    options = {"to": list(to or [ADA]), "from": "+12025550100", "account": ACCOUNT, "token": CANARY}
    return lambda url: {"api_url": url, **options, **more}


def fields(request: Received) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(request.body.decode(), strict_parsing=True).items()}


def told(requests: list[Received]) -> list[str]:
    return [fields(request)["To"] for request in requests]


# -- how long a text is


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        # Each takes an escape too.
        ("€" * 80, 1),
        ("€" * 81, 2),
        # An escape and its character are never parted: 76 of them in a segment of 153.
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("@£ÆΩ\n_ñà" * 20, 1),
        # Beyond the alphabet.
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("🔴" * 35, 1),
        # The halves of a pair are never parted: 33 of them in a segment of 67.
        ("🔴" * 66, 2),
        ("🔴" * 67, 3),
        ("ç" + "a" * 69, 1),
        ("ç" + "a" * 70, 2),
    ],
)
def test_segments_are_counted_as_networks_do(text: str, count: int) -> None:
    assert count_segments(text) == count


@pytest.mark.parametrize("most", [1, 2, 3, 10])
@pytest.mark.parametrize(
    "message",
    [
        *(sample_message(name) for name in SAMPLES),
        long_story(),
        crowd(),
        titled("موعد " * 400),
        titled("🔴" * 300),
    ],
    ids=[*SAMPLES, "story", "crowd", "arabic", "wide"],
)
def test_a_text_ends_within_whole_segments_with_its_id_and_its_link(message: Message, most: int) -> None:
    linked = clean_message(with_links(message))

    text = build_sms_text(linked, most)

    *_, identity, link = text.splitlines()
    page = linked.items[0].page if linked.kind.value == "single" else linked.page
    assert count_segments(text) <= most
    assert message.id in text
    # One segment of 67 characters or so has no room for a text, the id and a link.
    assert (identity, link) == (message.id, page) or (most == 1 and not text.isascii() and link == message.id)


@given(st.text(max_size=400), st.integers(1, 5))
def test_any_text_is_cut_to_fit(text: str, most: int) -> None:
    message = clean_message(titled(text))

    cut = build_sms_text(message, most)

    assert count_segments(cut) <= most
    assert cut.endswith(message.id)


def test_a_link_that_leaves_no_room_is_left_out_and_never_cut() -> None:
    message = clean_message(titled("Leave", page="https://alertd.example/" + "x" * 300))

    text = build_sms_text(message, 1)

    assert "https" not in text
    assert text.splitlines()[-1] == message.id


def test_a_text_that_is_too_long_is_cut_between_words() -> None:
    text = build_sms_text(clean_message(titled("The committee hands in its report " * 5)), 1)

    begun, identity = text.splitlines()
    assert begun.endswith("...")
    assert begun.removesuffix("...").split()[-1] in {"The", "committee", "hands", "in", "its", "report"}
    assert identity == sample_message("contested").id


def test_of_many_those_that_have_no_room_are_counted() -> None:
    text = build_sms_text(clean_message(sample_message("many")), 2)

    assert text.splitlines()[0] == "5 deadlines: 1 passed, 2 due soon, 1 moved, 1 done"
    named = [line for line in text.splitlines() if " (by " in line]
    assert f"and {5 - len(named)} more" in text


def test_typographic_marks_take_no_room_from_the_text() -> None:
    text = build_sms_text(clean_message(titled("“Leave” – the minister’s word…")), 3)

    assert '"Leave" - the minister\'s word...' in text
    assert text.isascii()


# -- what is sent


async def test_each_recipient_gets_a_form_of_its_own() -> None:
    message = sample_message("due")

    outcome, requests = await sent("sms", account(ADA, BO, ADA), QUEUED, message=message)

    assert outcome == Sent(note="2 recipients: HTTP 201")
    assert told(requests) == [ADA, BO]
    request = requests[0]
    login = base64.b64encode(f"{ACCOUNT}:{CANARY}".encode()).decode()
    assert (request.method, request.path) == ("POST", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"] == f"Basic {login}"
    assert fields(request) == {
        "To": ADA,
        "From": "+12025550100",
        "Body": build_sms_text(clean_message(message), 3),
    }


async def test_a_messaging_service_and_an_api_key_take_the_place_of_number_and_account() -> None:
    options = account(**{"from": "", "messaging_service": "MG1", "api_key": "SK1", "max_segments": 1})

    _, (request,) = await sent("sms", options, QUEUED)

    login = base64.b64encode(f"SK1:{CANARY}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {login}"
    assert fields(request).keys() == {"To", "MessagingServiceSid", "Body"}
    assert count_segments(fields(request)["Body"]) == 1


# -- what becomes of each recipient


async def test_who_is_refused_for_good_is_named_and_the_others_have_it() -> None:
    outcome, requests = await sent("sms", account(ADA, BO, CY), QUEUED, INVALID, QUEUED)

    assert told(requests) == [ADA, BO, CY]
    assert isinstance(outcome, Sent)
    assert outcome.partly.startswith(f"2 of 3 recipients have it; {BO}: http://127.0.0.1")
    assert outcome.partly.endswith("answered 400: 21211 The 'To' number is not a valid phone number.")


async def test_when_all_are_refused_it_is_rejected() -> None:
    outcome, _ = await sent("sms", account(ADA, BO), INVALID, STOPPED)

    assert isinstance(outcome, Rejected)
    assert f"{ADA}: " in outcome.reason
    assert "21610 Attempt to send to unsubscribed recipient" in outcome.reason
    assert not outcome.gone


async def send_twice(first: list[Answer], then: list[Answer], *to: str) -> tuple[list[Outcome], list[str]]:
    """The outcomes of a message and of its retry by the same notifier, and whom the retry was sent to."""
    async with HttpSink(*first) as sink:
        env: Env = notifier_env()
        notifier = SmsNotifier(SmsOptions.model_validate(account(*to)(sink.url)), env)
        outcomes = [await notifier.send(sample_message(), {})]
        begun = len(sink.requests)
        sink.answers = then
        outcomes.append(await notifier.send(sample_message(attempt=2), {}))
        await env.http.aclose()
    return outcomes, told(sink.requests[begun:])


async def test_a_retry_goes_only_to_those_who_neither_have_it_nor_were_refused() -> None:
    oops = Answer(status=500, body=b"oops")

    (first, second), retried = await send_twice([QUEUED, oops, INVALID], [QUEUED], ADA, BO, CY)

    assert isinstance(first, Retry)
    assert first.partly
    assert first.reason.startswith(f"1 of 3 recipients have it; {BO}: ")
    assert retried == [BO]
    assert isinstance(second, Sent)
    assert second.partly.startswith(f"2 of 3 recipients have it; {CY}: ")


async def test_who_is_too_fast_leaves_the_others_for_later() -> None:
    (first, second), retried = await send_twice([QUEUED, BUSY], [QUEUED], ADA, BO, CY)

    assert isinstance(first, Retry)
    assert (first.after, first.partly) == (timedelta(seconds=30), False)
    assert retried == [BO, CY]
    assert second == Sent(note="3 recipients: HTTP 201")


async def test_a_number_that_breaks_the_gateway_does_not_keep_the_others_from_it() -> None:
    broken = Answer(fault=Fault.RESET)

    (first, _), retried = await send_twice([broken, QUEUED, QUEUED], [QUEUED], ADA, BO, CY)

    assert isinstance(first, Retry)
    assert first.unknown
    assert first.partly
    assert retried == [ADA]


async def test_a_gateway_that_cannot_be_reached_is_asked_once() -> None:
    outcome, requests = await sent("sms", lambda _: account(ADA, BO)("http://127.0.0.1:1"))

    assert isinstance(outcome, Retry)
    assert not outcome.unknown
    assert outcome.reason.count("cannot be reached") == 1
    assert not requests


async def test_a_gateway_at_a_refused_address_is_rejected_for_all() -> None:
    outcome, _ = await sent("sms", lambda _: account(ADA, BO)("http://169.254.169.254"))

    assert isinstance(outcome, Rejected)
    assert f"{ADA}: " in outcome.reason
    assert f"{BO}: " in outcome.reason


@pytest.mark.parametrize("code", [20429, 21611, 30001])
async def test_a_full_queue_is_tried_again_whatever_its_status(code: int) -> None:
    outcome, _ = await sent("sms", account(), said({"code": code, "message": "full"}, 400))

    assert isinstance(outcome, Retry)
    assert outcome.reason.endswith(f"answered 400: {code} full")


async def test_what_is_refused_is_told_without_the_token() -> None:
    said_no = said({"code": 20003, "message": f"Authenticate {CANARY}", "status": 401}, 401)

    outcome, _ = await sent("sms", account(), said_no)

    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith("answered 401: 20003 Authenticate [hidden]")


async def test_a_message_that_is_taken_and_failed_at_once_is_rejected() -> None:
    failed = said({"sid": "SM1", "status": "failed", "error_code": 30007, "error_message": "Filtered"}, 201)

    outcome, _ = await sent("sms", account(), failed)

    assert isinstance(outcome, Rejected)
    assert outcome.reason.endswith("did not send it: 30007 Filtered")


@pytest.mark.parametrize(
    "answer", [Answer(body=b"<html>Log in</html>"), said({"status": "queued"}), said([])]
)
async def test_a_2xx_that_names_no_message_is_not_taken_for_a_gateways(answer: Answer) -> None:
    outcome, _ = await sent("sms", account(), answer)

    assert isinstance(outcome, Rejected)
    assert "not as Twilio does" in outcome.reason


async def test_fifty_refusals_are_named_in_a_line() -> None:
    numbers = [f"+49151{number:08}" for number in range(50)]

    outcome, requests = await sent("sms", account(*numbers), INVALID)

    assert isinstance(outcome, Rejected)
    assert len(requests) == 50
    assert len(outcome.reason) < 1_000
    assert outcome.reason.endswith("; and 47 more")


# -- what can be set

GOOD: Mapping[str, object] = {"to": [ADA], "from": "alertd", "account": ACCOUNT, "token": "t" * 32}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"to": []}, "at least 1 item"),
        ({"to": [f"+4915100000{number:03}" for number in range(51)]}, "at most 50 items"),
        (
            {"to": ["0151 1234567"]},
            r"a plus sign, the country code and digits alone, such as \+4915112345678",
        ),
        ({"to": ["+49 (151) 123-45678"]}, r"write \+4915112345678"),
        ({"to": ["004915112345678"]}, r"write \+4915112345678"),
        ({"from": "alertd of somewhere"}, "a name of at most 11 letters, digits and blanks"),
        ({"from": "12"}, "a short code of 3 to 8 digits"),
        ({"from": ""}, "from or messaging_service is required"),
        ({"messaging_service": "MG1"}, "from and messaging_service exclude each other"),
        ({"account": "AC/../x"}, "is not an id of at most 64 letters, digits, - and _"),
        ({"account": ""}, "at least 1 character"),
        ({"token": None}, "token or token_file is required"),
        ({"token_file": "x"}, "token and token_file exclude each other"),
        ({"token": "a b"}, "is not a token"),
        ({"max_segments": 11}, "less than or equal to 10"),
        ({"api_url": "api.twilio.com"}, "is not an http or https URL with a host"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SmsOptions.model_validate({**GOOD, **changes})


@pytest.mark.parametrize("sender", ["+12025550100", "12345", "alertd", "Min Defence"])
def test_a_number_a_short_code_and_a_name_can_send(sender: str) -> None:
    assert SmsOptions.model_validate({**GOOD, "from": sender}).sender == sender


class TestContract(ServiceContract):
    type_name = "sms"
    takes = (QUEUED,)

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        return {**account(ADA)(url), "timeout": timeout_s}
