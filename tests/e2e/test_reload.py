"""`alertd reload` and the real daemon: what is said by its socket, to whom, and what when nobody answers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from alertd.engine.control import MAX_PROBLEMS, Control, ask, ask_status
from alertd.engine.reload import ReloadRequests, ReloadResult
from alertd.engine.status import LiveReport
from alertd.errors import NoAnswer
from tests.e2e.stage import SECRET, Stage, a_stage
from tests.nobody import NOBODY, a_folder
from tests.scene import a_log

DONE = "The configuration is live.\n"
LIMIT_S = 10.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        made.write_config()
        made.write_timeline(m="2099-09-30T12:00")
        yield made


async def test_returns_when_what_was_written_is_live(stage: Stage) -> None:
    """Status 0, and the log has it by then: nobody has to wait and look."""
    daemon = await stage.start()
    stage.write_timeline(m="2099-09-30T12:00", n="2099-10-30T12:00")

    said = await stage.command("reload", "--wait")

    assert said == DONE
    await daemon.until("config.loaded", 2)
    assert [one["milestones"] for one in daemon.events if one["event"] == "config.loaded"][:2] == [1, 2]
    assert await daemon.stop() == 0


async def test_a_refused_configuration_is_named_and_what_was_before_goes_on(stage: Stage) -> None:
    daemon = await stage.start()
    stage.write("alertd.yaml", "route: {receiver: nobody}\nreceivers: [{name: desk, notifiers: []}]\n")

    said = await stage.said("reload", "--wait")
    await stage.command("reload", "--wait", status=1)
    stage.write_config()
    mended = await stage.command("reload", "--wait")

    lines = said.decode().splitlines()
    assert lines[0].startswith("alertd.yaml:1:19: ")
    assert lines[-1] == "alertd: refused; the configuration before it goes on"
    assert mended == DONE
    assert await daemon.stop() == 0


async def test_a_broken_timeline_is_named_and_the_rest_is_live(stage: Stage) -> None:
    daemon = await stage.start()
    stage.write("milestones/broken.yaml", "timeline: u\ntitle: U\nmilestones: [{id: m, deadline: soon}]\n")

    said = await stage.said("reload", "--wait")

    lines = said.decode().splitlines()
    assert lines[0].startswith("milestones/broken.yaml:3:")
    assert lines[-1] == "alertd: files with a problem stay as they were; everything else is live"
    assert await daemon.stop() == 0


async def test_without_waiting_the_daemon_is_asked_and_that_is_all(stage: Stage) -> None:
    daemon = await stage.start()
    stage.write_timeline(n="2099-10-30T12:00")

    said = await stage.command("reload")
    await daemon.until("config.loaded", 2)

    assert said == "The daemon was asked to reload.\n"
    assert await daemon.stop() == 0


async def test_nobody_there_is_said_clearly(stage: Stage) -> None:
    """Neither before the first start nor after the daemon was killed is there anything to wait for."""
    before = await stage.said("reload", "--wait")
    daemon = await stage.start()
    await daemon.kill()
    after = await stage.said("reload", "--wait")
    daemon = await stage.start()
    again = await stage.command("reload", "--wait")

    place = f"{stage.ledger}-control"
    assert before.decode() == after.decode() == f"alertd: no daemon is running: nobody answers at {place}\n"
    assert again == DONE
    assert await daemon.stop() == 0
    assert not stage.ledger.with_name(stage.ledger.name + "-control").exists()


@pytest.mark.parametrize(
    ("variable", "place"), [("RUNTIME_DIRECTORY", "run/control"), ("XDG_RUNTIME_DIR", "run/alertd/control")]
)
async def test_the_socket_is_where_the_environment_says(
    stage: Stage, tmp_path: Path, variable: str, place: str
) -> None:
    (tmp_path / "run").mkdir()

    daemon = await stage.start(**{variable: str(tmp_path / "run")})
    path = tmp_path / place
    mode = stat.S_IMODE(path.stat().st_mode)
    how = await asyncio.to_thread(ask, path, stage.config, wait=True, within_s=LIMIT_S)

    assert mode == 0o600
    assert how == ReloadResult(accepted=True)
    assert await daemon.stop() == 0
    assert not path.exists()


async def test_no_secret_is_told(stage: Stage) -> None:
    daemon = await stage.start()
    stage.write(
        "alertd.yaml", f"receivers: [{{name: d, notifiers: [{{type: webhook, secret: {SECRET}}}]}}]\n"
    )

    said = await stage.said("reload", "--wait")

    assert b"alertd: refused" in said
    assert SECRET.encode() not in said
    assert await daemon.stop() == 0


class Answering:
    """A socket of its own, and a loop that is played by hand."""

    def __init__(self, folder: Path) -> None:
        self.path, self.folder = folder / "control", folder
        self.wanted = asyncio.Event()
        self.requests = ReloadRequests(self.wanted.set)
        self.log, self.events = a_log()
        self.control = Control(self.path, folder, self.requests, self.log, lambda: LiveReport(node="first"))

    def asked(self, *, wait: bool = True, folder: Path | None = None) -> asyncio.Task[ReloadResult | None]:
        there = folder or self.folder
        return asyncio.create_task(asyncio.to_thread(ask, self.path, there, wait=wait, within_s=LIMIT_S))

    async def want(self) -> None:
        async with asyncio.timeout(LIMIT_S):
            await self.wanted.wait()
        self.wanted.clear()

    def said(self, raw: bytes) -> bytes:
        """What is answered to ``raw``."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(LIMIT_S)
            sock.connect(str(self.path))
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as stream:
                return stream.read()


@pytest.fixture
async def answering(tmp_path: Path) -> AsyncIterator[Answering]:
    made = Answering(tmp_path)
    await made.control.open()
    yield made
    await made.control.close()


async def test_who_asks_while_one_is_under_way_is_owed_another(answering: Answering) -> None:
    """What it has written may have come too late for the first."""
    first = answering.asked()
    await answering.want()
    owed = answering.requests.list_pending()
    second = answering.asked()
    await answering.want()

    answering.requests.answer(owed, ReloadResult(accepted=False, problems=("a:1:1: b",)))
    told = await first
    still = second.done()
    answering.requests.answer(answering.requests.list_pending(), ReloadResult(accepted=True))

    assert told == ReloadResult(accepted=False, problems=("a:1:1: b",))
    assert not still
    assert await second == ReloadResult(accepted=True)


async def test_a_daemon_that_ends_hangs_up(answering: Answering) -> None:
    asked = answering.asked()
    await answering.want()

    await answering.control.close()

    with pytest.raises(NoAnswer, match="hung up without an answer"):
        await asked


async def test_a_daemon_that_does_not_get_to_it_is_waited_for_so_long(answering: Answering) -> None:
    with pytest.raises(NoAnswer, match=r"has not answered within 0.1 s"):
        await asyncio.to_thread(ask, answering.path, answering.folder, wait=True, within_s=0.1)


async def test_another_folder_is_refused(answering: Answering) -> None:
    """Two daemons of one user: that of another configuration is not reloaded by mistake."""
    with pytest.raises(NoAnswer, match=r"runs on .*, not on /elsewhere"):
        await answering.asked(folder=Path("/elsewhere"))


async def test_a_second_daemon_leaves_the_first_its_socket(answering: Answering) -> None:
    second = Control(answering.path, answering.folder, answering.requests, answering.log)

    await second.open()
    await second.close()
    asked = answering.asked(wait=False)

    assert await asked is None
    assert answering.events == []


async def test_a_second_daemon_listens_beside_the_first_and_is_found_when_that_has_gone(
    answering: Answering,
) -> None:
    """Both say how they are; a killed daemon's socket beside the first is cleared away."""
    killed = answering.path.with_name("control.1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stale:
        stale.bind(str(killed))
    second = Control(
        answering.path, answering.folder, answering.requests, answering.log,
        lambda: LiveReport(node="second", findings=("late: x",), paused=("desk/hook",)),
    )  # fmt: skip
    await second.open()
    both = await asyncio.to_thread(ask_status, answering.path, within_s=LIMIT_S)

    await answering.control.close()
    alone = await asyncio.to_thread(ask_status, answering.path, within_s=LIMIT_S)
    reloaded = await answering.asked(wait=False)
    await second.close()

    report = LiveReport(node="second", findings=("late: x",), paused=("desk/hook",))
    assert list(both.reports) == [LiveReport(node="first"), report]
    assert (list(alone.reports), list(alone.unanswered)) == ([report], [])
    assert reloaded is None
    assert list(answering.path.parent.glob("control*")) == []


async def test_daemon_that_does_not_answer_is_said_to_be_stuck(tmp_path: Path) -> None:
    """The kernel takes the connection; a process whose loop is blocked never reads from it."""
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as blocked:
        blocked.bind(str(path))
        blocked.listen()
        answers = await asyncio.to_thread(ask_status, path, within_s=0.1)

    assert list(answers.reports) == []
    assert list(answers.unanswered) == [f"the daemon at {path} has not answered for 0.1 s: it is stuck"]


async def test_nobody_is_asked_where_there_is_no_socket(tmp_path: Path) -> None:
    for path in (None, tmp_path / "control", tmp_path / "none" / "control"):
        answers = await asyncio.to_thread(ask_status, path, within_s=LIMIT_S)

        assert (list(answers.reports), list(answers.unanswered)) == ([], [])


@pytest.mark.parametrize("name", ["x" * 120, "a-file/control"])
async def test_a_socket_that_cannot_be_made_is_logged_and_no_more(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-file").write_text("")
    log, events = a_log()
    control = Control(tmp_path / name, tmp_path, ReloadRequests(lambda: None), log)

    await control.open()
    await control.close()

    assert [one["event"] for one in events] == ["control.failed"]


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"hello\n", b"[]\n", b"{}\n", b'{"reload": 3, "wait": 1}\n', b"\xff\n"]
)
async def test_garbage_is_answered_and_reloads_nothing(answering: Answering, raw: bytes) -> None:
    said = await asyncio.to_thread(answering.said, raw)

    assert json.loads(said) == {"error": "cannot read what was asked"}
    assert not answering.wanted.is_set()


async def test_clients_that_send_nothing_do_not_keep_others_out(answering: Answering) -> None:
    """A client that sends its request takes the place of the oldest one that has sent nothing."""
    silent = [await asyncio.open_unix_connection(answering.path) for _ in range(40)]

    said = await asyncio.to_thread(answering.said, b"hello\n")
    async with asyncio.timeout(LIMIT_S):
        closed = await silent[0][0].read()

    for _, writer in silent:
        writer.close()
    assert json.loads(said) == {"error": "cannot read what was asked"}
    assert closed == b""


async def test_a_line_without_end_is_answered_too(answering: Answering) -> None:
    said = await asyncio.to_thread(answering.said, b"x" * 200_000)

    assert json.loads(said) == {"error": "cannot read what was asked"}


async def test_a_thousand_problems_are_told_as_the_first_hundred(answering: Answering) -> None:
    asked = answering.asked()
    await answering.want()
    problems = tuple(f"a.yaml:{number}:1: no" for number in range(1_000))

    answering.requests.answer(
        answering.requests.list_pending(), ReloadResult(accepted=False, problems=problems)
    )

    assert await asked == ReloadResult(accepted=False, problems=problems[:MAX_PROBLEMS])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_others_are_not_answered() -> None:
    """Neither by the mode of the socket, nor, where that was changed, by who they are."""
    with a_folder() as folder:
        answering = Answering(folder)
        await answering.control.open()
        folder.chmod(0o755)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(NoAnswer, match="Permission denied"):
                await answering.asked()
        finally:
            os.seteuid(0)
        answering.path.chmod(0o666)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(NoAnswer, match=r"Connection reset|Broken pipe|hung up without an answer"):
                await answering.asked()
        finally:
            os.seteuid(0)
        await answering.control.close()

    assert [(one["event"], one["uid"]) for one in answering.events] == [("control.refused", NOBODY)]
    assert not answering.wanted.is_set()
