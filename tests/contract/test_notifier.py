"""The contract of `alertd.ports.Notifier`, one suite over every built-in.

A rig (`notifier_rigs.py`) stands for one notifier and its peer, a real server on the loopback interface, a
real process or a real file. To put a new notifier under contract, add its rig.
"""

import asyncio
import contextlib
import logging
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from alertd.core.message import Message
from alertd.core.outcome import Outcome, Rejected, Retry, Sent
from alertd.notify.kit import NotifierOptions
from alertd.notify.registry import installed
from alertd.testing import Answer, Fault, HttpSink, sample_message
from tests.contract.notifier_rigs import CANARY, SERVICES, HttpRig, Trouble, rig_for


async def send(type_name: str, trouble: Trouble, message: Message | None = None) -> tuple[Outcome, str]:
    async with rig_for(type_name, trouble) as rig:
        outcome = await rig.notifier.send(message or sample_message(), {})
        return outcome, rig.seen()


HTTP_TYPES = tuple(SERVICES)
# Those whose peer can fail in every way.
NETWORKED = ("email", "exec", *HTTP_TYPES)
ALL = ("apprise", "console", "file", *NETWORKED)


def test_every_built_in_type_is_under_contract() -> None:
    own = {name for name, found in installed().items() if found.distribution == "alertd"}

    assert own == set(ALL)


@pytest.mark.parametrize("type_name", ALL)
@pytest.mark.parametrize("sample", ["contested", "moved", "many", "notice", "test"])
async def test_what_is_accepted_is_sent_and_shows_its_id(type_name: str, sample: str) -> None:
    message = sample_message(sample)

    outcome, seen = await send(type_name, Trouble.NONE, message)

    assert isinstance(outcome, Sent)
    assert message.id in seen


@pytest.mark.parametrize(
    ("type_name", "trouble", "kind", "unknown"),
    [
        ("console", Trouble.LATER, Retry, False),
        ("file", Trouble.LATER, Retry, False),
        # Apprise does not tell why, so it is always tried again.
        ("apprise", Trouble.LATER, Retry, False),
        ("apprise", Trouble.NEVER, Retry, False),
        ("apprise", Trouble.NOBODY, Retry, False),
        *(
            (type_name, trouble, kind, unknown)
            for type_name in NETWORKED
            for trouble, kind, unknown in [
                (Trouble.LATER, Retry, False),
                (Trouble.NEVER, Rejected, False),
                # Nothing was written, so nothing can have arrived.
                (Trouble.NOBODY, Retry, False),
                # All was written and no answer came: it may have arrived.
                (Trouble.HANGS_UP, Retry, True),
                (Trouble.HANGS, Retry, True),
            ]
        ),
    ],
)  # fmt: skip
async def test_each_trouble_is_an_outcome_that_shows_no_secret(
    type_name: str, trouble: Trouble, kind: type, *, unknown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    outcome, _ = await send(type_name, trouble)

    assert isinstance(outcome, kind)
    assert getattr(outcome, "unknown", False) is unknown
    assert CANARY not in repr(outcome)
    # The peer is in this process too, and logs what it is told.
    assert not any(CANARY in one.getMessage() for one in caplog.records if one.name != "mail.log")
    assert "\n" not in getattr(outcome, "reason", "")


@pytest.mark.parametrize("type_name", ALL)
async def test_options_and_notifiers_show_no_secret(type_name: str) -> None:
    async with rig_for(type_name, Trouble.NONE) as rig:
        shown = [
            repr(rig.options),
            str(rig.options),
            rig.options.model_dump_json(),
            repr(rig.notifier),
            repr(rig.env),
        ]

    assert not any(CANARY in one for one in shown)


@pytest.mark.parametrize("type_name", ALL)
def test_unknown_options_are_refused_and_the_schema_describes_the_known_ones(type_name: str) -> None:
    options = installed()[type_name].load().Options

    assert issubclass(options, NotifierOptions)
    assert options.model_config.get("extra") == "forbid"
    assert options.model_json_schema()["additionalProperties"] is False


ODD = [
    # Line breaks that would start a header or an answer; a terminal's escape; a direction override.
    "a\r\nX-Evil: 1\r\n\r\nb\x1b]0;evil\x07\u202e",
    # More than one code unit each; half a pair, which has no encoding.
    "\U0001f469\u200d\U0001f680 \udcff",
    "ملف 期限 Größe",
    "x" * 100_000,
    "",
]


@pytest.mark.parametrize("type_name", ALL)
@pytest.mark.parametrize("text", ODD)
async def test_no_text_keeps_a_message_from_being_sent(type_name: str, text: str) -> None:
    message = sample_message("contested")
    item = replace(
        message.items[0], title=text, timeline_title=text, phrase=text, headline=text, details=(text,)
    )
    item = replace(
        item, claims=tuple(replace(one, phrase=text, note=text) for one in item.claims), badge=text
    )

    outcome, seen = await send(type_name, Trouble.NONE, replace(message, items=(item,), subject=text))

    assert isinstance(outcome, Sent)
    assert message.id in seen
    assert "\nX-Evil" not in seen
    assert "\x1b]0" not in seen
    assert len(seen) < 200_000


@pytest.mark.parametrize("type_name", NETWORKED)
async def test_a_send_can_be_cancelled_and_leaves_nothing_running(type_name: str) -> None:
    async with rig_for(type_name, Trouble.HANGS) as rig:
        task = asyncio.create_task(rig.notifier.send(sample_message(), {}))
        while not rig.seen():  # it has written all, and waits for the answer
            await asyncio.wait([task], timeout=0.01)

        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

        assert task.cancelled()


NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
IN_AN_HOUR = format_datetime(NOW + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("type_name", "answer"), [(name, answer) for name, one in SERVICES.items() for answer in one.takes]
)
async def test_what_the_service_takes_is_sent(type_name: str, answer: Answer) -> None:
    async with HttpSink(answer) as sink:
        rig = HttpRig(type_name, sink, sink.url)
        outcome = await rig.notifier.send(sample_message(), {})
        await rig.env.http.aclose()

    assert isinstance(outcome, Sent)
    assert outcome.note == f"HTTP {answer.status}"
    assert outcome.partly == ""
    assert len(sink.requests) == 1


@pytest.mark.parametrize("type_name", HTTP_TYPES)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # The status has decided before the body broke off or grew beyond measure; `slack` reads the body too.
        (Answer(status=400, body=b"xx", fault=Fault.RESET_IN_BODY), Rejected(reason="answered 400")),
        (Answer(status=400, body=b"xx", fault=Fault.HANG_IN_BODY), Rejected(reason="answered 400")),
        (Answer(status=400, body=b"y" * 10_000_000), Rejected(reason="answered 400: " + "y" * 199 + "…")),
        # Not now.
        (Answer(status=408, body=b""), Retry(reason="answered 408")),
        (Answer(status=425, body=b""), Retry(reason="answered 425")),
        (Answer(status=429, body=b""), Retry(reason="answered 429")),
        (Answer(status=500, body=b"oops"), Retry(reason="answered 500: oops")),
        (Answer(status=504, body=b""), Retry(reason="answered 504")),
        # What it asks for: seconds, a fraction of one, a date, the past, nonsense.
        (Answer(status=429, body=b"", headers={"Retry-After": "120"}),
         Retry(reason="answered 429", after=timedelta(seconds=120))),
        (Answer(status=429, body=b"", headers={"Retry-After": "0.3"}),
         Retry(reason="answered 429", after=timedelta(seconds=1))),
        (Answer(status=503, body=b"", headers={"Retry-After": IN_AN_HOUR}),
         Retry(reason="answered 503", after=timedelta(hours=1))),
        (Answer(status=503, body=b"", headers={"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"}),
         Retry(reason="answered 503")),
        (Answer(status=503, body=b"", headers={"Retry-After": "soon"}), Retry(reason="answered 503")),
        # Never.
        (Answer(status=302, headers={"Location": f"http://evil.example/{CANARY}"}),
         Rejected(reason="answered 302, a redirect to http://evil.example; redirects are not followed")),
        (Answer(status=308, headers={"Location": "/elsewhere"}),
         Rejected(reason="answered 308, a redirect to another path of the same host; "
                         "redirects are not followed")),
        (Answer(status=401, body=b"no\r\nway\x1b[31m"), Rejected(reason="answered 401: no way [31m")),
        (Answer(status=404, body=f"no {CANARY} at http://u:p@h.example/{CANARY}".encode()),
         Rejected(reason="answered 404: no [hidden] at http://h.example/…")),
        (Answer(status=410),
         Rejected(reason="answered 410: the receiver is gone and wants no more", gone=True)),
        (Answer(status=422, body=b"\xff\xfe"), Rejected(reason="answered 422: \ufffd\ufffd")),
    ],
)  # fmt: skip
async def test_each_http_status_has_its_outcome(
    type_name: str, answer: Answer, expected: Retry | Rejected
) -> None:
    async with HttpSink(answer) as sink:
        rig = HttpRig(type_name, sink, sink.url, 0.3 if answer.fault is Fault.HANG_IN_BODY else 10.0)
        outcome = await rig.notifier.send(sample_message(), {})
        await rig.env.http.aclose()

    assert outcome == replace(expected, reason=f"{sink.url} {expected.reason}")
    assert len(sink.requests) == 1


@pytest.mark.parametrize("type_name", HTTP_TYPES)
async def test_what_is_not_http_is_no_answer(type_name: str) -> None:
    async with HttpSink(Answer(fault=Fault.GARBAGE)) as sink:
        rig = HttpRig(type_name, sink, sink.url)
        outcome = await rig.notifier.send(sample_message(), {})
        await rig.env.http.aclose()

    assert isinstance(outcome, Retry)
    assert outcome.unknown


@pytest.mark.parametrize("type_name", HTTP_TYPES)
async def test_a_name_that_does_not_resolve_is_tried_again(type_name: str) -> None:
    async def nobody_knows(name: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, f"{name} {CANARY}")

    async with HttpSink() as sink:
        rig = HttpRig(type_name, sink, "http://no-such-host.invalid")
        rig.env.http.egress.resolve = nobody_knows
        outcome = await rig.notifier.send(sample_message(), {})
        await rig.env.http.aclose()

    assert outcome == Retry(reason="http://no-such-host.invalid cannot be reached: its name does not resolve")
