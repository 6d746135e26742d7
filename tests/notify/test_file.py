"""Files: what they contain, and the outcome if a file cannot be written. The files are real."""

import asyncio
import contextlib
import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.notify.file import FileNotifier, FileOptions
from alertd.notify.render.clean import clean_message
from alertd.notify.webhook.payload import build_payload
from alertd.testing import notifier_env, sample_message
from alertd.testing.contract import Rig, Trouble
from tests.notify.contract import OwnContract
from tests.notify.sending import titled


def notifier(path: Path) -> FileNotifier:
    return FileNotifier(FileOptions(path=str(path)), notifier_env())


async def append(path: Path, name: str = "contested") -> Outcome:
    return await notifier(path).send(sample_message(name), {})


def ids(path: Path) -> list[str]:
    return [json.loads(line)["data"]["id"] for line in path.read_text(encoding="ascii").splitlines()]


async def test_each_message_is_a_line_of_what_a_webhook_gets(tmp_path: Path) -> None:
    path = tmp_path / "reminders.jsonl"

    outcomes = [await append(path, name) for name in ("contested", "many")]

    assert outcomes == [Sent(), Sent()]
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert lines == [build_payload(clean_message(sample_message(name))) for name in ("contested", "many")]


async def test_no_text_breaks_a_line(tmp_path: Path) -> None:
    path = tmp_path / "reminders.jsonl"

    await notifier(path).send(titled("a\nb\u2028c\x00d"), {})

    assert path.read_bytes().count(b"\n") == 1
    assert path.read_bytes().endswith(b"\n")


async def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "reminders.jsonl"

    await append(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_rights_of_a_file_that_is_there_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "reminders.jsonl"
    path.touch()
    path.chmod(0o640)

    await append(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path, moved = tmp_path / "reminders.jsonl", tmp_path / "reminders.jsonl.1"
    sender = notifier(path)

    await sender.send(sample_message("contested"), {})
    path.rename(moved)
    await sender.send(sample_message("moved"), {})

    assert ids(moved) == [sample_message("contested").id]
    assert ids(path) == [sample_message("moved").id]


async def test_half_a_line_of_before_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "reminders.jsonl"
    path.write_bytes(b'{"version": 1, "da')

    assert await append(path) == Sent()

    half, whole = path.read_bytes().splitlines()
    assert half == b'{"version": 1, "da'
    assert json.loads(whole)["data"]["id"] == sample_message().id


async def test_many_at_once_are_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "reminders.jsonl"
    # Two notifiers, as if two receivers named the same file.
    both = notifier(path), notifier(path)

    outcomes = await asyncio.gather(*(both[at % 2].send(sample_message("many"), {}) for at in range(40)))

    assert outcomes == [Sent()] * 40
    assert ids(path) == [sample_message("many").id] * 40


async def test_a_folder_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "reminders.jsonl"

    assert await append(path) == Retry(reason=f"cannot write {path}: No such file or directory")


async def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    outcomes = [await append(path) for path in (tmp_path / "pipe", tmp_path, Path("/dev/null"))]

    assert outcomes == [
        Retry(reason=f"cannot write {tmp_path / 'pipe'}: it is not a regular file"),
        Retry(reason=f"cannot write {tmp_path}: Is a directory"),
        Retry(reason="cannot write /dev/null: it is not a regular file"),
    ]


def test_a_disk_that_takes_half_a_line_costs_no_message(tmp_path: Path) -> None:
    """A limit on file sizes imitates a full disk: both accept a part of a line, and then nothing."""
    script = """
import asyncio, resource, sys
from alertd.notify.file import FileNotifier, FileOptions
from alertd.testing import notifier_env, sample_message
sender = FileNotifier(FileOptions(path=sys.argv[1]), notifier_env())
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (100, 100, hard):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    outcome = asyncio.run(sender.send(sample_message(), {}))
    print(type(outcome).__name__, getattr(outcome, "reason", "").rpartition(": ")[2])
"""
    path = tmp_path / "reminders.jsonl"

    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == [
        "Retry only a part of the line was taken", "Retry File too large", "Sent ",
    ]  # fmt: skip
    half, whole = path.read_bytes().splitlines()
    assert len(half) == 100
    assert json.loads(whole)["data"]["id"] == sample_message().id


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, as another process may do without end."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def hasty(path: Path) -> FileNotifier:
    return FileNotifier(FileOptions(path=str(path), timeout=0.1), notifier_env())


async def test_a_file_that_stays_locked_is_given_up(tmp_path: Path) -> None:
    """The attempt ends at its time limit, and the line is not written when the lock is released at last."""
    path = tmp_path / "reminders.jsonl"
    sender = hasty(path)

    with locked(path):
        outcomes = [await sender.send(sample_message("contested"), {}) for _ in range(2)]
    while await sender.send(sample_message("moved"), {}) != Sent():
        pass

    why = "the disk does not answer, or another process locks the file, for 0.1 s"
    assert outcomes == [Retry(reason=f"cannot write {path}: {why}")] * 2
    assert ids(path) == [sample_message("moved").id]


async def test_a_file_that_hangs_holds_up_nothing_else(tmp_path: Path) -> None:
    """However many sends wait for a locked file, another file and the shared threads answer meanwhile."""
    path = tmp_path / "locked.jsonl"

    with locked(path):
        stuck = [asyncio.create_task(notifier(path).send(sample_message(), {})) for _ in range(40)]
        other = await append(tmp_path / "other.jsonl")
        shared = await asyncio.to_thread(lambda: "answered")
        waiting = [task.done() for task in stuck]
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)

    assert (other, shared) == (Sent(), "answered")
    assert not any(waiting)


def test_a_file_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """A process ends although one of its files stays locked."""
    script = """
import asyncio, sys
from alertd.notify.file import FileNotifier, FileOptions
from alertd.testing import notifier_env, sample_message
sender = FileNotifier(FileOptions(path=sys.argv[1], timeout=0.1), notifier_env())
print(type(asyncio.run(sender.send(sample_message(), {}))).__name__)
"""
    path = tmp_path / "reminders.jsonl"

    with locked(path):
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, timeout=30
        )

    assert done.stdout == "Retry\n"


@pytest.mark.parametrize("path", ["reminders.jsonl", "./x", "/var/log/", "/a\0b", ""])
def test_what_is_no_absolute_path_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="is not the absolute path of a file"):
        FileOptions(path=path)


class FileRig(Rig):
    def __init__(self, path: Path) -> None:
        super().__init__("file", {"path": str(path)}, notifier_env())
        self.path = path

    def seen(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""


class TestContract(OwnContract):
    type_name = "file"
    expected: Mapping[Trouble, tuple[type[Outcome], bool]] = {Trouble.LATER: (Retry, False)}

    @contextlib.asynccontextmanager
    async def rig(self, trouble: Trouble) -> AsyncIterator[Rig]:
        with tempfile.TemporaryDirectory() as folder:
            yield FileRig(Path(folder, "no-such-folder" if trouble is Trouble.LATER else "", "seen.jsonl"))
