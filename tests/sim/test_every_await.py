"""A crash, an error and a stall at each await of one short life, one after the other: none may lose anything."""

from __future__ import annotations

import pytest

from tests.sim.dice import Dice, SendFault, StoreFault
from tests.sim.invariants import violations
from tests.sim.profile import Profile
from tests.sim.world import Parts, Run, run

SEED = 11
SHORT = Profile(name="short", days=14, calm_days=5, milestones=2, send=1e-12, edits=1, people=2)
"""As good as nothing fails by chance; the one fault that is planned makes up for it."""

AT_THE_LEDGER = (
    StoreFault.CRASH_BEFORE,
    StoreFault.CRASH_AFTER,
    StoreFault.FAILS_BEFORE,
    StoreFault.FAILS_AFTER,
    StoreFault.STALL_BEFORE,
    StoreFault.STALL_AFTER,
)
AT_A_SEND = tuple(one for one in SendFault if one)


class PlannedDice(Dice):
    """All goes well, but for one call of the ledger or one send."""

    def __init__(self, fault: StoreFault | SendFault, number: int, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._fault = fault
        self._number = number
        self.calls = self.sends = 0

    def store_fault(self) -> StoreFault:
        self.calls += 1
        is_meant = isinstance(self._fault, StoreFault) and self.calls == self._number
        return StoreFault(self._fault) if is_meant else StoreFault.NONE

    def send_fault(self) -> SendFault:
        self.sends += 1
        is_meant = isinstance(self._fault, SendFault) and self.sends == self._number
        return SendFault(self._fault) if is_meant else SendFault.NONE


def lived(fault: StoreFault | SendFault, number: int) -> tuple[Run, PlannedDice]:
    """The short life with one fault; the first node's dice."""
    made: list[PlannedDice] = []

    def dice(*args: object) -> Dice:
        made.append(PlannedDice(fault, number, *args))
        return made[-1]

    return run(SEED, SHORT, Parts(dice=dice)), made[0]


def test_the_short_life_has_all_kinds_of_calls() -> None:
    """There is something to break: it is reconciled, bound, leased, sent and settled several times."""
    played, dice = lived(StoreFault.NONE, 0)

    assert violations(played) == []
    assert dice.calls > 80
    assert dice.sends >= 6


@pytest.mark.parametrize("fault", AT_THE_LEDGER)
def test_each_call_of_the_ledger_may_fail(fault: StoreFault) -> None:
    """At every single one, in every way."""
    _, dice = lived(StoreFault.NONE, 0)
    for number in range(1, dice.calls + 1):
        assert violations(lived(fault, number)[0]) == [], f"{fault} at call {number}"


@pytest.mark.parametrize("fault", AT_A_SEND)
def test_each_send_may_fail(fault: SendFault) -> None:
    """Each one, in every way."""
    _, dice = lived(StoreFault.NONE, 0)
    for number in range(1, dice.sends + 1):
        assert violations(lived(fault, number)[0]) == [], f"{fault} at send {number}"
