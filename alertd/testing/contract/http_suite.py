"""The contract of notifiers that use HTTP: the outcome of each status, and the answers that they ignore."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.testing.contract.rig import CANARY, LONG_S, SOON_S, Rig, Trouble
from alertd.testing.contract.suite import NotifierContract, assert_presentable
from alertd.testing.env import notifier_env
from alertd.testing.http_sink import Answer, Fault, HttpSink
from alertd.testing.messages import sample_message

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
IN_AN_HOUR = format_datetime(NOW + timedelta(hours=1), usegmt=True)

ENOUGH = 16 * 2**20
"""The most bytes that an endless answer may send: the notifier reads 64 KiB, and the rest fills buffers."""

STATUSES: Sequence[tuple[Answer, Retry | Rejected]] = (
    # The status decides, even if the body breaks off or is too long.
    (Answer(status=400, body=b"xx", fault=Fault.RESET_IN_BODY), Rejected(reason="answered 400")),
    (Answer(status=400, body=b"xx", fault=Fault.HANG_IN_BODY), Rejected(reason="answered 400")),
    (Answer(status=400, body=b"y" * 10_000_000), Rejected(reason="answered 400: " + "y" * 199 + "…")),
    # Temporary errors.
    (Answer(status=408, body=b""), Retry(reason="answered 408")),
    (Answer(status=425, body=b""), Retry(reason="answered 425")),
    (Answer(status=429, body=b""), Retry(reason="answered 429")),
    (Answer(status=500, body=b"oops"), Retry(reason="answered 500: oops")),
    (Answer(status=504, body=b""), Retry(reason="answered 504")),
    # The wait in Retry-After: seconds, a fraction of a second, a date, the past, invalid text.
    (
        Answer(status=429, body=b"", headers={"Retry-After": "120"}),
        Retry(reason="answered 429", after=timedelta(seconds=120)),
    ),
    (
        Answer(status=429, body=b"", headers={"Retry-After": "0.3"}),
        Retry(reason="answered 429", after=timedelta(seconds=1)),
    ),
    (
        Answer(status=503, body=b"", headers={"Retry-After": IN_AN_HOUR}),
        Retry(reason="answered 503", after=timedelta(hours=1)),
    ),
    (
        Answer(status=503, body=b"", headers={"Retry-After": "Mon, 01 Jan 2024 00:00:00 GMT"}),
        Retry(reason="answered 503"),
    ),
    (Answer(status=503, body=b"", headers={"Retry-After": "soon"}), Retry(reason="answered 503")),
    # Final errors.
    (
        Answer(status=302, headers={"Location": f"http://evil.example/{CANARY}"}),
        Rejected(reason="answered 302, a redirect to http://evil.example; redirects are not followed"),
    ),
    (
        Answer(status=308, headers={"Location": "/elsewhere"}),
        Rejected(
            reason="answered 308, a redirect to another path of the same host; redirects are not followed"
        ),
    ),
    (Answer(status=401, body=b"no\r\nway\x1b[31m"), Rejected(reason="answered 401: no way [31m")),
    (
        Answer(status=404, body=f"no {CANARY} at http://u:p@h.example/{CANARY}".encode()),
        Rejected(reason="answered 404: no [hidden] at http://h.example/…"),
    ),
    (Answer(status=410), Rejected(reason="answered 410: the receiver is gone and wants no more", gone=True)),
    (Answer(status=422, body=b"\xff\xfe"), Rejected(reason="answered 422: \ufffd\ufffd")),
)
"""Answers and their outcomes. The reasons are those of ``alertd.notify.http.reply.judge_answer``, without the
origin. The suite does not require particular reasons."""

STRANGE: Sequence[bytes] = (
    b"",
    b"null",
    b"[]",
    b'"ok"',
    b"{",
    b'{"ok": 1, "id": [], "error": {}, "result": 7, "status": null, "retry_after": "x", "parameters": []}',
    b'{"retry_after": -1e999, "retry_after_ms": true}',
    b"[" * 60_000,
    b"\xff\xfe\x00",
    b"<html>log in</html>",
)
"""Bodies that no service should answer with, which a notifier must handle nevertheless."""


@functools.cache
def trust_the_system() -> ssl.SSLContext:
    """Return one TLS context for all rigs, because loading the system's CAs takes longer than most tests."""
    return ssl.create_default_context()


class HttpRig(Rig):
    """A notifier that posts to an :class:`alertd.testing.HttpSink`."""

    def __init__(self, type_name: str, options: Mapping[str, object], sink: HttpSink) -> None:
        super().__init__(type_name, options, notifier_env(tls=trust_the_system))
        self.sink = sink

    def seen(self) -> str:
        return "\n".join(
            json.dumps([request.method, request.path, dict(request.headers), request.body.decode()])
            for request in self.sink.requests
        )

    def bodies(self) -> Sequence[str]:
        return [request.body.decode() for request in self.sink.requests]


class HttpContract(NotifierContract):
    """The contract of a notifier that uses ``env.http``. A subclass defines the options that lead to a
    server.

    Attributes:
        takes: the answers by which the service accepts a message, the usual answer first.
        troubled: the service's answers for LATER and NEVER, and the server's faults.
    """

    takes: Sequence[Answer] = (Answer(), Answer(status=202), Answer(status=204, body=b""))
    troubled: Mapping[Trouble, Answer] = {
        Trouble.LATER: Answer(status=503, body=CANARY.encode()),
        Trouble.NEVER: Answer(status=403, body=CANARY.encode()),
        Trouble.HANGS_UP: Answer(fault=Fault.RESET),
        Trouble.HANGS: Answer(fault=Fault.HANG),
    }

    def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
        """Return the options as ``alertd.yaml`` would have them. Each secret must contain :data:`CANARY`.

        The server repeats :data:`CANARY` in its answers, so at least one option must hold it: for a service
        without secrets, put it into the path of the URL.

        Args:
            url: the server's URL without a path, such as ``http://127.0.0.1:40001``.
            timeout_s: the time limit for one request, in seconds.
        """
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        answer = self.troubled.get(trouble, self.takes[0])
        async with self.answering(answer, timeout_s=self.timeout_s(trouble)) as rig:
            if trouble is Trouble.NOBODY:
                await rig.sink.__aexit__(None, None, None)
            yield rig

    @contextlib.asynccontextmanager
    async def answering(
        self, *answers: Answer, timeout_s: float = LONG_S, at: Callable[[str], str] = str
    ) -> AsyncIterator[HttpRig]:
        """Return a rig whose server gives these answers.

        Args:
            at: turns the server's URL into the URL for the options.
        """
        async with contextlib.AsyncExitStack() as stack:
            sink = await stack.enter_async_context(HttpSink(*answers))
            options = self.options(at(sink.url), timeout_s)
            assert CANARY in repr(options), "options(): make the secret CANARY, or put it into the URL"
            rig = HttpRig(self.type_name, options, sink)
            stack.push_async_callback(rig.env.http.aclose)
            stack.push_async_callback(rig.notifier.aclose)
            yield rig

    def outcome(
        self, answer: Answer, *, timeout_s: float = LONG_S, at: Callable[[str], str] = str
    ) -> tuple[Outcome, HttpSink]:
        """Return the outcome of one message when the server gives this answer."""

        async def sending() -> tuple[Outcome, HttpSink]:
            async with self.answering(answer, timeout_s=timeout_s, at=at) as rig:
                return await rig.notifier.send(sample_message(), {}), rig.sink

        return self.run(sending())

    def check_note(self, outcome: Sent, answer: Answer) -> None:
        """Check the note about an accepted message. By default, any note is right."""

    def check_reason(self, outcome: Retry | Rejected, usual: Retry | Rejected) -> None:
        """Check the reason of a failure. By default, any reason is right.

        Args:
            usual: the outcome with the reason that alertd's own notifiers give.
        """

    def test_what_the_service_takes_is_sent(self) -> None:
        for answer in self.takes:
            outcome, sink = self.outcome(answer)

            assert isinstance(outcome, Sent)
            assert outcome.partly == ""
            assert len(sink.requests) == 1
            assert_presentable(outcome)
            self.check_note(outcome, answer)

    @pytest.mark.parametrize(
        ("answer", "expected"),
        STATUSES,
        ids=[f"{at}-{answer.status}" for at, (answer, _) in enumerate(STATUSES)],
    )
    def test_each_http_status_has_its_outcome(self, answer: Answer, expected: Retry | Rejected) -> None:
        timeout_s = SOON_S if answer.fault is Fault.HANG_IN_BODY else LONG_S

        outcome, sink = self.outcome(answer, timeout_s=timeout_s)

        assert not isinstance(outcome, Sent)
        assert_presentable(outcome)
        assert replace(outcome, reason="") == replace(expected, reason="")
        assert str(answer.status) in outcome.reason
        # Neither a receiver that is gone nor the target of a redirect gets a second request.
        assert len(sink.requests) == 1
        self.check_reason(outcome, replace(expected, reason=f"{sink.url} {expected.reason}"))

    @pytest.mark.parametrize("status", [200, 400, 429])
    @pytest.mark.parametrize("body", STRANGE, ids=range(len(STRANGE)))
    def test_nothing_that_is_answered_makes_it_raise(self, status: int, body: bytes) -> None:
        outcome, _ = self.outcome(Answer(status=status, body=body))

        assert_presentable(outcome)
        if status != 200:
            assert not isinstance(outcome, Sent)

    def test_what_is_not_http_is_no_answer(self) -> None:
        outcome, _ = self.outcome(Answer(fault=Fault.GARBAGE))

        assert isinstance(outcome, Retry)
        assert outcome.unknown
        assert_presentable(outcome)

    def test_a_handshake_that_never_ends_has_sent_nothing(self) -> None:
        """The server waits for an HTTP request but gets a TLS handshake."""
        secure: Callable[[str], str] = lambda url: url.replace("http://", "https://")  # noqa: E731

        outcome, sink = self.outcome(Answer(), timeout_s=SOON_S, at=secure)

        assert isinstance(outcome, Retry)
        assert not outcome.unknown
        assert not sink.requests

    def test_a_name_that_does_not_resolve_is_tried_again(self) -> None:
        async def nobody_knows(name: str) -> tuple[str, ...]:
            raise socket.gaierror(socket.EAI_NONAME, f"{name} {CANARY}")

        async def sending() -> Outcome:
            async with self.answering(at=lambda _: "http://no-such-host.invalid") as rig:
                rig.env.http.egress.resolve = nobody_knows
                return await rig.notifier.send(sample_message(), {})

        outcome = self.run(sending())

        assert isinstance(outcome, Retry)
        assert not outcome.unknown
        assert_presentable(outcome)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_no_redirect_is_followed(self, status: int) -> None:
        async def sending() -> tuple[Outcome, HttpSink]:
            async with HttpSink(*self.takes) as elsewhere:
                answer = Answer(status=status, headers={"Location": f"{elsewhere.url}/{CANARY}"})
                async with self.answering(answer) as rig:
                    return await rig.notifier.send(sample_message(), {}), elsewhere

        outcome, elsewhere = self.run(sending())

        assert isinstance(outcome, Rejected)
        assert not elsewhere.requests
        assert_presentable(outcome)

    @pytest.mark.parametrize("status", [200, 400, 503])
    def test_an_answer_without_an_end_is_not_read_to_it(self, status: int) -> None:
        outcome, sink = self.outcome(Answer(status=status, body=b"z" * 65_536, fault=Fault.ENDLESS))

        assert_presentable(outcome)
        assert sink.written < ENOUGH
