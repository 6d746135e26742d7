"""The contract of every notifier, whatever it sends through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.core.milestones.fields import make_sample_values
from alertd.notify.base import Renders
from alertd.notify.http.redact import HIDDEN
from alertd.notify.registry import list_usable
from alertd.testing.contract.rig import CANARY, EXPECTED, LONG_S, SOON_S, Rig, Trouble
from alertd.testing.messages import SAMPLES, sample_message, with_links

MAX_REASON = 1_000
MAX_SEEN = 200_000
"""The most characters of a message about one milestone, however long its texts are."""

ODD = {
    "breaks": "a\r\nX-Evil: 1\r\n\r\nb\x1b]0;evil\x07\u202e",
    "pairs": "\U0001f469\u200d\U0001f680 \udcff",
    "scripts": "ملف 期限 Größe",
    "markup": "<!channel> @everyone *b* [a](javascript:b) </p>\\\"'{{ 1 }} & ]]>",
    "long": "x" * 100_000,
    "empty": "",
}
"""Line breaks that would start a header, a terminal's escape sequence, an override of direction; characters
of several code units, and half a surrogate pair, which has no encoding; markup of several services; a text
that is too long, and an empty text."""

T = TypeVar("T")


class NotifierContract:
    """The contract's tests. Subclass this class under a name that begins with ``Test``, and define ``rig``.

    Attributes:
        type_name: the entry point's name, which is the value of ``type:`` in ``alertd.yaml``.
        expected: the outcome for each trouble that the receiver can have, and whether the outcome is unknown.
            Leave out a trouble that cannot happen.
        hanging_timeout_s: the timeout in seconds for a receiver that hangs. Tests set it.
    """

    type_name: str
    expected: Mapping[Trouble, tuple[type[Outcome], bool]] = EXPECTED
    hanging_timeout_s: float = SOON_S

    def rig(self, trouble: Trouble) -> AbstractAsyncContextManager[Rig]:
        """Return a context manager for a notifier and a receiver with ``trouble``, which closes both."""
        raise NotImplementedError

    def timeout_s(self, trouble: Trouble) -> float:
        """Return the timeout in seconds that ``rig`` gives to a notifier whose receiver has ``trouble``."""
        return self.hanging_timeout_s if trouble is Trouble.HANGS else LONG_S

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "trouble" in metafunc.fixturenames:
            expected = metafunc.cls.expected
            metafunc.parametrize("trouble", expected, ids=[trouble.name.lower() for trouble in expected])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in its own event loop, so that no pytest plugin is needed. Return its result."""
        return asyncio.run(work)

    def sent(self, *messages: Message, trouble: Trouble = Trouble.NONE) -> tuple[list[Outcome], str]:
        """Send the messages in sequence. Return the outcomes, and what the receiver got."""

        async def sending() -> tuple[list[Outcome], str]:
            async with self.rig(trouble) as rig:
                return [await rig.notifier.send(message, {}) for message in messages], rig.seen()

        return self.run(sending())

    # -- options and secrets

    def test_the_installed_type_is_a_notifier(self) -> None:
        """The entry point can be loaded, and names a class with Options."""
        made = list_usable()[self.type_name].load()

        assert issubclass(made.Options, BaseModel)

    def test_unknown_options_are_refused_and_the_schema_says_so(self) -> None:
        options = list_usable()[self.type_name].load().Options

        assert options.model_config.get("extra") == "forbid"
        assert options.model_json_schema()["additionalProperties"] is False

    def test_options_and_notifiers_show_no_secret(self) -> None:
        async def showing() -> list[str]:
            async with self.rig(Trouble.NONE) as rig:
                options = rig.options
                shown = [repr(options), str(options), options.model_dump_json()]
                return [*shown, repr(rig.notifier), repr(rig.env)]

        assert not [text for text in self.run(showing()) if CANARY in text]

    # -- messages

    @pytest.mark.parametrize("name", SAMPLES)
    def test_what_is_accepted_is_sent_and_shows_its_id(self, name: str) -> None:
        message = sample_message(name)

        (outcome,), seen = self.sent(message)

        assert isinstance(outcome, Sent)
        assert message.id in seen

    @pytest.mark.parametrize("name", SAMPLES)
    def test_links_are_taken_too(self, name: str) -> None:
        message = with_links(sample_message(name))

        (outcome,), seen = self.sent(message)

        assert isinstance(outcome, Sent)
        assert message.id in seen

    def test_a_retry_shows_the_same_id(self) -> None:
        first = sample_message()
        again = replace(first, attempt=2, at=first.at + timedelta(hours=1))

        outcomes, seen = self.sent(first, again)

        assert [type(outcome) for outcome in outcomes] == [Sent, Sent]
        assert seen.count(first.id) >= 2

    def test_what_was_sent_before_is_of_no_harm(self) -> None:
        """The next send gets the previous state, even on another node.

        An older version may have left its own.
        """
        message = sample_message()
        milestone = message.items[0].milestone

        async def sending() -> list[Outcome]:
            async with self.rig(Trouble.NONE) as rig:
                first = await rig.notifier.send(message, {})
                assert isinstance(first, Sent)
                other = rig.made(rig.options, rig.env)
                try:
                    states = first.state, {milestone: {"left": "by another version"}}
                    return [await other.send(message, state) for state in states]
                finally:
                    await other.aclose()

        outcomes = self.run(sending())

        assert [type(outcome) for outcome in outcomes] == [Sent, Sent]

    def test_what_is_shown_is_what_is_sent(self) -> None:
        """``render`` returns the exact bodies, except for the secrets, if the notifier has ``render``."""

        async def both(message: Message) -> tuple[list[str], list[str]]:
            async with self.rig(Trouble.NONE) as rig:
                if not isinstance(rig.notifier, Renders):
                    return [], []
                shown = [body.text for body in rig.notifier.render(message)]
                await rig.notifier.send(message, {})
                return shown, [body.replace(CANARY, HIDDEN) for body in rig.bodies()]

        for name in SAMPLES:
            shown, sent = self.run(both(with_links(sample_message(name))))
            assert shown == sent

    # -- failures

    def test_each_trouble_is_an_outcome_that_shows_no_secret(
        self, trouble: Trouble, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        kind, is_unknown = self.expected[trouble]

        (outcome,), seen = self.sent(sample_message(), trouble=trouble)
        if trouble is Trouble.HANGS and not seen:
            # The timeout passed before the receiver had read the message: a busy machine needs more time.
            self.hanging_timeout_s = LONG_S
            (outcome,), seen = self.sent(sample_message(), trouble=trouble)
            assert seen

        assert isinstance(outcome, kind)
        assert getattr(outcome, "unknown", False) is is_unknown
        assert_presentable(outcome)
        # The test's receiver may run in the same process and log what it receives.
        records = [record for record in caplog.records if record.name != "mail.log"]
        assert not [record for record in records if CANARY in record.getMessage()]

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_no_text_keeps_a_message_from_being_sent(self, text: str) -> None:
        message = spoil(sample_message("contested"), text)

        (outcome,), seen = self.sent(message)

        assert isinstance(outcome, Sent)
        assert message.id in seen
        assert "\nX-Evil" not in seen
        assert "\x1b]0" not in seen
        assert len(seen) < MAX_SEEN

    def test_hundreds_of_milestones_are_sent(self) -> None:
        many = sample_message("many")
        items = tuple(
            replace(item, milestone=f"{item.milestone}-{at}", title=f"{item.title} {at}" * 4)
            for at in range(60)
            for item in many.items
        )
        message = replace(many, items=items, subject="300 deadlines " * 50)

        (outcome,), seen = self.sent(message)

        assert isinstance(outcome, Sent)
        assert not outcome.partly
        assert message.id in seen

    def test_a_send_that_is_cancelled_leaves_nothing(self) -> None:
        if Trouble.HANGS not in self.expected:
            return
        # The test ends the send, and the timeout must not end it before.
        self.hanging_timeout_s = LONG_S

        async def cancelling() -> bool:
            async with self.rig(Trouble.HANGS) as rig:
                sending = asyncio.create_task(send_sample(rig))
                await wait_until_seen(rig, sending)
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await sending
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            if rest:  # tasks that are ending
                await asyncio.wait(rest, timeout=5)
            assert not [task for task in rest if not task.done()]
            return sending.cancelled()

        assert self.run(cancelling())

    def test_two_at_once_do_not_get_in_each_others_way(self) -> None:
        first, second = sample_message("approaching"), sample_message("moved")

        async def sending() -> tuple[list[Outcome], str]:
            async with self.rig(Trouble.NONE) as rig:
                both = (rig.notifier.send(first, {}), rig.notifier.send(second, {}))
                return list(await asyncio.gather(*both)), rig.seen()

        outcomes, seen = self.run(sending())

        assert [type(outcome) for outcome in outcomes] == [Sent, Sent]
        assert first.id in seen
        assert second.id in seen


def assert_presentable(outcome: Outcome) -> None:
    """Assert that what alertd stores of an outcome is short, on one line, and without secrets."""
    assert isinstance(outcome, Sent | Retry | Rejected)
    assert CANARY not in repr(outcome)
    said = outcome.note if isinstance(outcome, Sent) else outcome.reason
    assert len(said) <= MAX_REASON
    assert said.isprintable()


def spoil(message: Message, text: str) -> Message:
    """Return ``message`` with ``text`` in every place that may hold text from outside."""
    item = message.items[0]
    claims = tuple(
        replace(
            claim,
            phrase=text,
            note=text,
            accounts=tuple(
                replace(account, who=text, brief=text, publisher=text) for account in claim.accounts
            ),
        )
        for claim in item.claims
    )
    item = replace(
        item,
        title=text,
        timeline_title=text,
        phrase=text,
        headline=text,
        badge=text,
        details=(text,),
        fields={**item.fields, **make_sample_values(text)},
        claims=claims,
    )
    return replace(message, items=(item,), subject=text)


async def send_sample(rig: Rig) -> Outcome:
    return await rig.notifier.send(sample_message(), {})


async def wait_until_seen(rig: Rig, sending: asyncio.Future[Outcome]) -> None:
    """Wait until the receiver has read the message. A send that ends before fails the test."""
    while not rig.seen():
        done, _ = await asyncio.wait([sending], timeout=0.01)
        assert not done
