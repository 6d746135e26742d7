"""Log lines of reconciliations: as many as things happened, however many instances a series has."""

from alertd.engine.observer import log_report
from alertd.engine.reconcile_pass import Report
from alertd.testing.memory_ledger import MemoryLedger
from tests.scene import Scene, a_log, a_milestone

DAY = "2026-09-30"


async def test_recurring_milestone_that_is_withdrawn_is_one_line() -> None:
    """With the number of its instances; another one beside it has its own."""
    scene = Scene(MemoryLedger(), at="2026-09-01")
    log, events = a_log()
    scene.define(a_milestone("t/monthly", DAY, every="FREQ=MONTHLY"), a_milestone("t/once", DAY))
    log_report(log, await scene.reconcile())
    instances = len(await scene.ledger.read_records()) - 1

    scene.define()
    log_report(log, await scene.reconcile())

    said = [(one["event"], one["milestone"], one.get("instances")) for one in events if one.get("milestone")]
    assert instances > 1
    assert said == [
        ("milestone.loaded", "t/monthly", instances),
        ("milestone.loaded", "t/once", None),
        ("milestone.withdrawn", "t/monthly", instances),
        ("milestone.withdrawn", "t/once", None),
    ]


def test_single_instance_is_named() -> None:
    """What moved of a series is one day of it: which one is said."""
    log, events = a_log()

    log_report(log, Report(moved=["t/monthly@2026-09-30"]))

    assert events[0]["milestone"] == "t/monthly@2026-09-30"
