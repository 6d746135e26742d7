"""Test the built-in notifiers with the contract suite of `alertd.testing.contract`.

To test a new notifier, add its rig to `notifier_rigs.py` and its class here. In addition to the contract, the
tests require that failures are worded as in `alertd.notify.http.reply`.
"""

from dataclasses import replace

import pytest

from alertd.core.ledger.outcome import Rejected, Retry, Sent
from alertd.notify.base import NotifierOptions
from alertd.notify.registry import installed
from alertd.testing import Answer, Fault
from alertd.testing.contract import STATUSES, NotifierContract
from alertd.testing.contract.http_suite import LONG_S, SOON_S
from tests.contract.notifier_rigs import (
    AppriseContract,
    ConsoleContract,
    EmailContract,
    ExecContract,
    FileContract,
    ServiceContract,
)


class TestApprise(AppriseContract):
    pass


class TestConsole(ConsoleContract):
    pass


class TestDiscord(ServiceContract):
    type_name = "discord"


class TestEmail(EmailContract):
    pass


class TestExec(ExecContract):
    pass


class TestFile(FileContract):
    pass


class TestMatrix(ServiceContract):
    type_name = "matrix"


class TestMattermost(ServiceContract):
    type_name = "mattermost"


class TestNtfy(ServiceContract):
    type_name = "ntfy"


class TestPagerDuty(ServiceContract):
    type_name = "pagerduty"


class TestSlack(ServiceContract):
    type_name = "slack"


class TestTeams(ServiceContract):
    type_name = "teams"


class TestTelegram(ServiceContract):
    type_name = "telegram"


class TestWebhook(ServiceContract):
    type_name = "webhook"


CONTRACTS = [one for name, one in globals().items() if name.startswith("Test")]
SERVICES = [one for one in CONTRACTS if issubclass(one, ServiceContract)]


def test_every_built_in_type_is_under_contract() -> None:
    own = {name for name, found in installed().items() if found.distribution == "alertd"}

    assert {one.type_name for one in CONTRACTS} == own


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda one: one.type_name)
def test_every_built_in_type_shows_what_it_sends(contract: type[NotifierContract]) -> None:
    made = installed()[contract.type_name].load()

    assert issubclass(made.Options, NotifierOptions)
    assert callable(getattr(made, "render", None))


@pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.type_name)
def test_what_a_service_takes_is_noted_with_its_status(service: type[ServiceContract]) -> None:
    for answer in service.takes:
        outcome, _ = service().outcome(answer)

        assert isinstance(outcome, Sent)
        assert outcome.note == f"HTTP {answer.status}"


@pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.type_name)
@pytest.mark.parametrize(("answer", "expected"), STATUSES)
def test_each_failure_is_worded_alike(
    service: type[ServiceContract], answer: Answer, expected: Retry | Rejected
) -> None:
    timeout_s = SOON_S if answer.fault is Fault.HANG_IN_BODY else LONG_S

    outcome, sink = service().outcome(answer, timeout_s=timeout_s)

    assert outcome == replace(expected, reason=f"{sink.url} {expected.reason}")
