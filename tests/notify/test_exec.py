"""Commands: what they get, how long they live, and the outcome of each way to end. The commands are real."""

import asyncio
import contextlib
import json
import os
import select
import shlex
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from alertd.core.ledger.outcome import Outcome, Rejected, Retry, Sent
from alertd.core.message.message import Message
from alertd.notify.exec import ExecNotifier, ExecOptions
from alertd.notify.render.clean import clean_message
from alertd.notify.webhook.payload import build_payload
from alertd.testing import notifier_env, sample_message
from alertd.testing.contract import Rig, Trouble
from tests.notify.contract import OwnContract
from tests.notify.sending import MILESTONE, titled


async def run(script: str, *words: str, message: Message | None = None, timeout_s: float = 10) -> Outcome:
    command = ["/bin/sh", "-c", script, *words]
    notifier = ExecNotifier(ExecOptions(command=command, timeout=timeout_s), notifier_env())
    return await notifier.send(message or sample_message(), {})


async def environment(tmp_path: Path, message: Message) -> Mapping[str, str]:
    assert await run('env -0 > "$0"', str(tmp_path / "env"), message=message) == Sent(note="exit status 0")
    given = (tmp_path / "env").read_bytes().decode().split("\0")
    return dict(variable.split("=", 1) for variable in given if variable)


def is_alive(pid: int) -> bool:
    """Return whether the process runs. A zombie does not run."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    return False


async def test_it_reads_what_a_webhook_gets(tmp_path: Path) -> None:
    message = sample_message("many")

    outcome = await run('cat > "$0"', str(tmp_path / "got"), message=message)

    assert outcome == Sent(note="exit status 0")
    assert json.loads((tmp_path / "got").read_bytes()) == build_payload(clean_message(message))


async def test_its_environment_says_what_the_message_is(tmp_path: Path) -> None:
    message = sample_message()

    given = await environment(tmp_path, message)

    assert {name: value for name, value in given.items() if name.startswith("ALERTD_")} == {
        "ALERTD_ID": message.id,
        "ALERTD_KIND": "single",
        "ALERTD_SUBJECT": message.subject,
        "ALERTD_RECEIVER": "desk",
        "ALERTD_ATTEMPT": "1",
        "ALERTD_MILESTONE": MILESTONE,
        "ALERTD_CAUSE": "overdue",
    }


async def test_of_many_no_milestone_and_no_cause_is_named(tmp_path: Path) -> None:
    given = await environment(tmp_path, sample_message("many"))

    assert given["ALERTD_KIND"] == "many"
    assert not {"ALERTD_MILESTONE", "ALERTD_CAUSE"} & given.keys()


async def test_the_rest_of_alertds_environment_is_kept_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERTD_DATABASE", "postgresql://alertd:canary@db/alertd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/canary")
    monkeypatch.setenv("LC_TIME", "C")

    given = await environment(tmp_path, sample_message())

    assert given["PATH"] == os.environ["PATH"]
    assert given["LC_TIME"] == "C"
    assert "canary" not in str(given)


async def test_no_text_is_a_word_of_the_command(tmp_path: Path) -> None:
    text = f"$(touch {shlex.quote(str(tmp_path / 'evil'))}); `id` && \\\" '"

    outcome = await run('printf "%s" "$ALERTD_SUBJECT" > "$0"', str(tmp_path / "got"), message=titled(text))

    assert isinstance(outcome, Sent)
    assert not (tmp_path / "evil").exists()
    assert (tmp_path / "got").read_text(encoding="utf-8") == clean_message(titled(text)).subject


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0, Sent),
        # EX_TEMPFAIL means "later".
        (75, Retry),
        # The other statuses of sysexits.h are final.
        (64, Rejected), (65, Rejected), (67, Rejected), (69, Rejected), (77, Rejected), (78, Rejected),
        # The exit status of a script with an error is no verdict on the message.
        (1, Retry), (2, Retry), (63, Retry), (79, Retry), (126, Retry), (127, Retry), (255, Retry),
    ],
)  # fmt: skip
async def test_each_exit_status_has_its_outcome(status: int, kind: type) -> None:
    outcome = await run(f"exit {status}")

    assert isinstance(outcome, kind)
    assert not getattr(outcome, "unknown", False)
    assert str(status) in (outcome.note if isinstance(outcome, Sent) else outcome.reason)


async def test_the_beginning_of_what_it_says_is_the_reason() -> None:
    outcome = await run("echo no such user >&2; echo; echo at https://u:p@h.example/canary; exit 67")

    assert outcome == Rejected(
        reason="/bin/sh ended with exit status 67: no such user at https://h.example/…"
    )


async def test_it_may_say_any_amount_and_need_not_listen() -> None:
    outcome = await run("yes | head -c 20000000; exit 1", message=titled("x" * 2_000))

    assert isinstance(outcome, Retry)
    assert len(outcome.reason) < 300
    assert "\n" not in outcome.reason


async def test_a_signal_that_ends_it_leaves_open_what_it_has_done() -> None:
    outcome = await run("kill -TERM $$")

    assert outcome == Retry(reason="/bin/sh was ended by signal 15", unknown=True)


async def test_when_its_time_is_up_it_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = 'trap "" TERM; sleep 600 & echo $! $$ > "$0"; echo begun; wait; sleep 600'

    outcome = await run(script, str(tmp_path / "pids"), timeout_s=0.3)

    assert outcome == Retry(reason="/bin/sh did not end within 0.3 s: begun", unknown=True)
    child, shell = (int(pid) for pid in (tmp_path / "pids").read_text(encoding="ascii").split())
    assert not is_alive(shell)
    # The shell is dead and reaped, so its child belongs to init. The kernel ends the child a moment later.
    assert ends(child)


def ends(pid: int, within_s: float = 10.0) -> bool:
    """Return whether the process ends in time. On a busy machine, a killed process needs a moment."""
    try:
        its = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([its], [], [], within_s)[0])
    finally:
        os.close(its)


async def test_what_it_leaves_behind_does_not_outlive_it(tmp_path: Path) -> None:
    outcome = await run('sleep 600 & echo $! > "$0"; echo done', str(tmp_path / "pid"))

    assert outcome == Sent(note="exit status 0: done")
    assert ends(int((tmp_path / "pid").read_text(encoding="ascii")))


async def test_a_send_that_is_cancelled_kills_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    task = asyncio.create_task(run('echo $$ > "$0.new"; mv "$0.new" "$0"; sleep 600', str(path)))
    while not path.exists():
        await asyncio.wait([task], timeout=0.01)

    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert not is_alive(int(path.read_text(encoding="ascii")))


async def test_nothing_stays_open() -> None:
    await run("exit 0")
    before = len(os.listdir("/proc/self/fd"))

    for script in ("exit 0", "exit 75", "cat > /dev/null", "kill -KILL $$"):
        await run(script)

    assert len(os.listdir("/proc/self/fd")) == before


async def test_what_cannot_be_run_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "not-executable").write_text("#!/bin/sh\n", encoding="ascii")
    reasons = []
    for program in ("no-such-program-anywhere", str(tmp_path / "missing"), str(tmp_path / "not-executable")):
        outcome = await ExecNotifier(ExecOptions(command=[program]), notifier_env()).send(
            sample_message(), {}
        )
        assert isinstance(outcome, Retry)
        reasons.append(outcome.reason.removeprefix(f"cannot run {program}: "))

    assert reasons == ["No such file or directory", "No such file or directory", "Permission denied"]


@pytest.mark.parametrize("command", [[], [""], "echo hello", ["echo", "a\0b"]])
def test_what_is_no_command_is_refused(command: object) -> None:
    with pytest.raises(ValidationError):
        ExecOptions.model_validate({"command": command})


SCRIPTS = {
    Trouble.NONE: "exit 0",
    Trouble.LATER: "echo not now; exit 75",
    Trouble.NEVER: "echo never; exit 65",
    Trouble.HANGS_UP: "kill -KILL $$",
    Trouble.HANGS: "sleep 600",
}


class ExecRig(Rig):
    def __init__(self, path: Path, trouble: Trouble, timeout_s: float) -> None:
        # Everything that arrives is recorded before a failure is simulated.
        script = f'cat >> "$0"; env | grep ALERTD >> "$0.env"; {SCRIPTS.get(trouble, "")}'
        command = ["/bin/sh", "-c", script, str(path)]
        if trouble is Trouble.NOBODY:
            command = [str(path.parent / "no-such-program")]
        super().__init__("exec", {"command": command, "timeout": timeout_s}, notifier_env())
        self.path = path

    def seen(self) -> str:
        paths = (self.path, self.path.with_suffix(".env"))
        return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.exists())

    def bodies(self) -> Sequence[str]:
        return [self.path.read_text(encoding="utf-8")]


class TestContract(OwnContract):
    type_name = "exec"

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        with tempfile.TemporaryDirectory() as folder:
            yield ExecRig(Path(folder, "seen"), trouble, self.timeout_s(trouble))
