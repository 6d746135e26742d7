"""The contract of alertd's own notifiers: that of `alertd.testing.contract`, and the words for a failure.

The contract of a type is the class `TestContract` in `tests/notify/test_TYPE.py`. pytest runs it there. The
tests that need the contracts of all types find them by the entry points: there is no list to edit.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

import pytest

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify import NotifierOptions, Rendered, Renders
from alertd.notify.registry import OWN, list_usable
from alertd.testing import Answer, notifier_env, with_links
from alertd.testing.contract import CANARY, HttpContract, NotifierContract
from alertd.testing.contract.rig import LONG_S

SECRET_PATH = f"/{CANARY}?key={CANARY}"
RECEIVER = "https://receiver.example"

MISSING = """\
the notifier type {name!r} is not under contract. Write tests/notify/test_{name}.py with

    from collections.abc import Mapping

    from tests.notify.contract import SECRET_PATH, ServiceContract

    class TestContract(ServiceContract):
        type_name = "{name}"

        def options(self, url: str, timeout_s: float) -> Mapping[str, object]:
            return {{"url": url + SECRET_PATH, "timeout": timeout_s}}  # as in alertd.yaml; secrets are CANARY

(or OwnContract with a method `rig`, for what does not speak HTTP: see tests/notify/test_file.py). Then let

    ALERTD_UPDATE_GOLDEN=1 make test ARGS=tests/notify/test_golden.py

write its golden files, and read them."""


class OwnContract(NotifierContract):
    """For a notifier that does not speak HTTP.

    Attributes:
        golden_links: whether its golden files show the links that alertd's page gives to messages.
        golden_list: whether they show a list even where one body is sent.
    """

    golden_links = True
    golden_list = False

    def golden_options(self) -> Mapping[str, object] | None:
        """What the notifier of the golden files is made with; None where other files show what it sends."""
        return None

    def test_it_shows_what_it_sends(self) -> None:
        made = list_usable()[self.type_name].load()

        assert issubclass(made.Options, NotifierOptions)
        assert callable(getattr(made, "render", None))


class ServiceContract(OwnContract, HttpContract):
    """For a notifier that speaks HTTP by `env.http`."""

    def golden_options(self) -> Mapping[str, object] | None:
        return self.options(RECEIVER, LONG_S)

    def check_note(self, outcome: Sent, answer: Answer) -> None:
        assert outcome.note == f"HTTP {answer.status}"

    def check_reason(self, outcome: Retry | Rejected, usual: Retry | Rejected) -> None:
        assert outcome == usual


def own_types() -> list[str]:
    """The types that alertd itself brings, by their entry points."""
    return [name for name, kind in list_usable().items() if kind.distribution == OWN]


def contract_of(type_name: str) -> type[OwnContract]:
    """The contract of one of alertd's own types; a test fails that asks for one that is missing."""
    module = f"tests.notify.test_{type_name}"
    try:
        found = getattr(importlib.import_module(module), "TestContract", None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        found = None
    if not (isinstance(found, type) and issubclass(found, OwnContract) and found.type_name == type_name):
        pytest.fail(MISSING.format(name=type_name), pytrace=False)
    return found


def json_answer(said: Mapping[str, object], status: int = 200) -> Answer:
    """An answer whose body is JSON."""
    return Answer(status=status, body=json.dumps(said).encode())


def golden_of(type_name: str, message: Message) -> tuple[str, str] | None:
    """How the golden file of a message ends, and what it holds; None for a type that has none."""
    contract = contract_of(type_name)()
    options = contract.golden_options()
    if options is None:
        return None
    kind = list_usable()[type_name].load()
    notifier = kind(kind.Options.model_validate(options), notifier_env())
    assert isinstance(notifier, Renders)
    rendered = notifier.render(with_links(message) if contract.golden_links else message)
    if rendered[0].media_type == "application/json":
        return f"{type_name}.json", _as_json(rendered, as_list=contract.golden_list)
    return f"{type_name}.txt", "\n\n".join(map(_as_text, rendered)) + "\n"


def _as_json(rendered: Sequence[Rendered], *, as_list: bool) -> str:
    bodies = [json.loads(body.text) for body in rendered]
    shown = bodies if as_list or len(bodies) > 1 else bodies[0]
    return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"


def _as_text(rendered: Rendered) -> str:
    if rendered.media_type != "application/x-www-form-urlencoded":
        return rendered.text
    return "\n".join(f"{name}: {value}" for name, value in parse_qsl(rendered.text, strict_parsing=True))
