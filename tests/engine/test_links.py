"""Links that cannot be signed hold up no message, and are reported."""

from dataclasses import replace

from alertd.core.access import Web
from alertd.core.config import Config
from alertd.core.message.links import Links
from alertd.engine.daemon import Daemon
from alertd.engine.links import LinkMaker
from alertd.engine.timer import Chore
from alertd.system.telemetry import Event
from alertd.testing.memory_ledger import MemoryLedger
from tests.engine.test_daemon import Stage
from tests.scene import StepClock, a_config, a_log, a_milestone, when

BASE = "https://alertd.example.org"
WITH_PAGE = a_config("desk", "ops", operator="ops", web=replace(Web(), external_url=BASE))


def refuse(_config: Config) -> Links | None:
    raise PermissionError(13, "Permission denied")


def test_links_that_cannot_be_signed_are_left_out_and_logged_once() -> None:
    """The message still leads to the page, and the same failure is one line in the log."""
    log, events = a_log()
    maker = LinkMaker(refuse, log)

    made = [maker.make(WITH_PAGE), maker.make(WITH_PAGE), maker.make(a_config())]

    assert made == [Links(base=BASE), Links(base=BASE), None]
    assert [event["event"] for event in events] == [Event.LINKS_UNSIGNED]
    assert "Permission denied" in events[0]["reason"]


async def test_daemon_sends_without_them_and_its_audit_finds_it() -> None:
    """If the state folder cannot be entered, the reminder goes out, and the audit says what is missing."""
    stage = Stage(MemoryLedger(), StepClock(when("2026-09-23T09:00")))
    stage.scene.config = WITH_PAGE
    stage.scene.define(a_milestone("t/m", "2026-09-30"))
    daemon = Daemon(replace(stage.world, links=refuse))

    await daemon.start()
    await daemon.turn()
    await daemon.idle()
    daemon._timer.want(Chore.AUDIT)
    await daemon._look()

    assert stage.lines() == ["2026-09-23T09:00 desk t/m -7d"]
    (item,) = stage.told[0].message.items
    assert (item.page, item.actions) == (f"{BASE}/milestones/t/m", ())
    assert daemon.status.audit is not None
    findings = [str(finding) for finding in daemon.status.audit.findings]
    assert findings == [
        "unsigned: messages go out without the links that act, since these cannot be signed: "
        "PermissionError: [Errno 13] Permission denied"
    ]
    assert daemon.status.is_well
