"""Runs a daemon with probes that fall due every 100 ms, and notes when they arrive; for :mod:`bench.late`.

``python -m bench.late_stage --daemon ...`` is the daemon as it is shipped, with some chores more often, and
``--sink`` is where it posts to.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alertd.system import worker_threads

PER_FILE = 500
PROBES = 3_000
CROWD = 10_000
DIGEST = 5_000
OLD = 20_000

EVERY_S = 0.1
LASTS_S = 20.0
LIMIT_S = 400.0
LONG_S = 0.02
"""How long a callback may keep the loop busy, by the time of the processor, before the benchmark notes it."""

LOOP, LEDGER = "loop", "alertd-ledger"
"""Where the loop and the ledger's thread are noted."""

PARKED = timedelta(days=60)
CHORES = {"AUDIT_EVERY_S": 6.0, "PRUNE_EVERY_S": 8.0}
"""Chores that the daemon does every minute or every day. Here, each falls into every load."""

POLICY = "policy: {before: [1min], on_day: false, after: [], opens: false}\n"


def find_free_port() -> int:
    with closing(socket.socket()) as there:
        there.bind(("127.0.0.1", 0))
        port: int = there.getsockname()[1]
        return port


@contextmanager
def run_child(command: Sequence[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, *command], stdout=out, stderr=out, env={**os.environ, **environment}
        )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


async def serve_sink(port: int, arrivals: Path) -> None:
    """Answer every POST, and write a line for each milestone in it: when it arrived, and its id."""
    with arrivals.open("a", buffering=1) as out:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while head := await _read_head(reader):
                length = next(
                    int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                at = time.time()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                if b"/probe " in head[0]:
                    out.writelines(
                        f"{at} {item['milestone']}\n" for item in json.loads(body)["data"]["items"]
                    )
                elif b"/crowd " in head[0]:
                    out.write(f"{at} crowd\n")
                else:
                    out.write(f"{at} other {length}\n")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
            await server.serve_forever()


async def _read_head(reader: asyncio.StreamReader) -> list[bytes]:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return []


def run_daemon(arguments: list[str]) -> None:
    """Run alertd with some chores at other times; there is no setting for that."""
    from alertd.cli import main
    from alertd.engine import daemon

    for name, every_s in CHORES.items():
        if name not in vars(daemon):
            raise SystemExit(f"{daemon.__name__} has no {name}: bench/late_stage.py is out of date")
        setattr(daemon, name, every_s)
    sys.argv = ["alertd", *arguments]
    note_long_callbacks()
    main()


def note_long_callbacks() -> None:
    """Write to standard error what holds up the loop, the ledger or the interpreter for long.

    All times are of the processor. On a busy machine the wall clock says little: the process may not run at
    all for a while.
    """
    run, call = asyncio.Handle._run, worker_threads._call

    def run_and_measure(handle: asyncio.Handle) -> None:
        began_s = time.thread_time()
        run(handle)
        _note(LOOP, began_s, handle)

    def call_and_measure(future: Future[Any], work: Callable[[], Any]) -> None:
        began_s = time.thread_time()
        call(future, work)
        _note(threading.current_thread().name, began_s, work)

    collecting_since_s = 0.0

    def note_collection(phase: str, info: dict[str, int]) -> None:
        nonlocal collecting_since_s
        if phase == "start":
            collecting_since_s = time.thread_time()
        else:
            _note("collector", collecting_since_s, info)

    setattr(asyncio.Handle, "_run", run_and_measure)  # noqa: B010  a name that is not public
    setattr(worker_threads, "_call", call_and_measure)  # noqa: B010  a name that is not public
    gc.callbacks.append(note_collection)


def _note(where: str, began_s: float, what: object) -> None:
    took_s = time.thread_time() - began_s
    if took_s > LONG_S:
        entry = {"bench": where, "ms": round(took_s * 1e3), "what": _describe(what)}
        # In one piece, since several threads write.
        os.write(sys.stderr.fileno(), f"{json.dumps(entry)}\n".encode())


def _describe(what: object, depth: int = 4) -> str:
    """Name a callback, or a call in a thread with the functions that it closes over."""
    if not callable(what):
        return repr(what)
    what = getattr(what, "func", what)
    inside = [cell.cell_contents for cell in getattr(what, "__closure__", None) or ()]
    name = getattr(what, "__qualname__", "").replace("<locals>.", "") or repr(what)
    return " ".join([name, *(_describe(each, depth - 1) for each in inside if depth and callable(each))])


@dataclass(kw_only=True)
class Stage:
    """A daemon with its folder, its ledger and its sink."""

    folder: Path
    milestones: int
    port: int = field(default_factory=find_free_port)
    web: int = field(default_factory=find_free_port)
    used: int = 0
    revision: int = 0
    main: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'ledger.sqlite3'}"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def start(self, stack: ExitStack) -> None:
        """Start everything, and load the milestones."""
        (self.folder / "config" / "milestones").mkdir(parents=True)
        (self.folder / "arrivals").touch()
        self._write_config()
        due = datetime.now(UTC) + timedelta(seconds=30 + (PROBES + CROWD + DIGEST) / 300)
        self._write_due("probe", PROBES, due)
        self._write_due("crowd", CROWD, due)
        self._write_due("weekly", DIGEST, due)
        sink = ["-m", "bench.late_stage", "--sink", str(self.port), str(self.folder / "arrivals")]
        stack.enter_context(run_child(sink, self.folder / "sink.log"))
        self.main = stack.enter_context(self.run_daemon(self.web, self.log))
        self._wait("daemon.ready")
        if datetime.now(UTC) > due:
            raise SystemExit("the probes fell due before they were loaded; the machine is too busy")
        self._execute("update owed set wake_at = ? where state = 'pending'", _micros(due + PARKED))
        self._execute("update next_digest set at = ?", _micros(due + PARKED))
        for number in range(self.milestones // PER_FILE):
            self._write_many(f"t{number}", PER_FILE)
        for number in range(min(OLD, self.milestones) // PER_FILE):
            self._write_many(f"old{number}", PER_FILE)
        self.reload()
        for path in (self.folder / "config" / "milestones").glob("old*.yaml"):
            path.unlink()
        self.reload()
        while datetime.now(UTC) < due:
            time.sleep(0.5)

    def run_daemon(self, port: int, log: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
        given = ["run", "--config", str(self.folder / "config"), "--database", self.database]
        listens = f"127.0.0.1:{port}"
        return run_child(
            ["-m", "bench.late_stage", "--daemon", *given],
            log,
            ALERTD_LISTEN=listens,
            ALERTD_LOG_FORMAT="json",
            # The callbacks of uvloop cannot be measured from Python.
            ALERTD_EVENT_LOOP="asyncio",
        )

    def reload(self) -> None:
        assert self.main is not None
        before = self.count("config.loaded")
        self.main.send_signal(signal.SIGHUP)
        self._wait("config.loaded", before + 1)

    def change(self, files: int) -> None:
        """Write files again, each with other titles."""
        self.revision += 1
        for number in range(files):
            self._write_many(f"t{number}", PER_FILE)

    def count(self, event: str) -> int:
        return self.log.read_bytes().count(f'"{event}"'.encode())

    def schedule(self, begins: float) -> dict[str, float]:
        """Have a probe fall due every 100 ms. Returns when each does, by milestone."""
        number = round(LASTS_S / EVERY_S)
        names = [_name("probe", self.used + index) for index in range(number)]
        self.used += number
        due = {name: begins + index * EVERY_S for index, name in enumerate(names)}
        with closing(self._connect()) as connection, connection:
            connection.executemany(
                "update owed set wake_at = ? where milestone = ? and state = 'pending'",
                [(round(at * 1e6), name) for name, at in due.items()],
            )
        return due

    def wake(self, timeline: str, at: float) -> None:
        """Have everything of some timelines fall due at once."""
        self._execute(
            "update owed set wake_at = ? where milestone like ? and state = 'pending'",
            round(at * 1e6),
            f"{timeline}%",
        )

    def wake_digest(self, timeline: str, at: float) -> None:
        """Have all digests fall due, and everything of some timelines that waits for them."""
        self._execute("update next_digest set at = ?", round(at * 1e6))
        self.wake(timeline, at)

    def read_arrivals(self) -> dict[str, float]:
        """Return when each probe arrived first."""
        arrived: dict[str, float] = {}
        for line in (self.folder / "arrivals").read_text().splitlines():
            at, name, *_ = line.split()
            arrived.setdefault(name, float(at))
        return arrived

    def count_arrivals(self, name: str) -> int:
        return (self.folder / "arrivals").read_text().count(f" {name}\n")

    def read_lag(self, *, since: dict[str, float] | None = None) -> dict[str, float]:
        """Return the counts of the buckets of the loop's lag, minus those of ``since``."""
        url = f"http://127.0.0.1:{self.web}/metrics"
        with urllib.request.urlopen(url, timeout=LIMIT_S) as answer:
            text = answer.read().decode()
        found = {
            line.split('"')[1]: float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("alertd_loop_lag_seconds_bucket")
        }
        return {bound: count - (since or {}).get(bound, 0.0) for bound, count in found.items()}

    def wait_quiet(self) -> None:
        """Wait until nothing is on its way, so that a load is over before the next begins."""
        until = time.monotonic() + LIMIT_S
        query = (
            "select (select count(*) from delivery where state = 'ready') + (select count(*) from owed "
            "where state = 'pending' and wake_at < strftime('%s', 'now') * 1000000)"
        )
        while time.monotonic() < until:
            with closing(self._connect()) as connection:
                (waiting,) = connection.execute(query).fetchone()
            if not waiting:
                return
            time.sleep(0.5)

    def find_longest(self, *, since: int) -> dict[str, tuple[float, int, str]]:
        """Find what held up each thread, or all of them, for long after the first bytes of the log.

        Returns:
            the seconds of the longest, how many there were, and what the longest was, by where it was.
        """
        found: dict[str, tuple[float, int, str]] = {}
        for line in self.log.read_bytes()[since:].splitlines():
            if not line.startswith(b'{"bench"'):
                continue
            entry, _ = json.JSONDecoder().raw_decode(line.decode())
            longest, count, what = found.get(entry["bench"], (0.0, 0, ""))
            if (took_s := entry["ms"] / 1e3) > longest:
                longest, what = took_s, entry["what"]
            found[entry["bench"]] = (longest, count + 1, what)
        return found

    def age(self) -> int:
        """Make everything old that was withdrawn, so that it can be deleted."""
        old = _micros(datetime.now(UTC) - timedelta(days=4_000))
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "update history set at = ? where milestone in (select id from milestone where withdrawn)",
                (old,),
            )
            return connection.execute("update milestone set changed_at = ? where withdrawn", (old,)).rowcount

    def _execute(self, statement: str, *values: object) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute(statement, values)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "ledger.sqlite3", timeout=60)

    def _wait(self, event: str, times: int = 1) -> None:
        until = time.monotonic() + LIMIT_S
        while self.count(event) < times:
            if time.monotonic() > until or (self.main is not None and self.main.poll() is not None):
                raise SystemExit(f"the daemon did not say {event}: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def _write_config(self) -> None:
        names = ("probe", "crowd", "weekly")
        hooks = "".join(
            f"  - {{name: {name}, notifiers: [{{type: webhook, url: 'http://127.0.0.1:{self.port}/{name}'}}]}}\n"
            for name in (*names, "desk")
        )
        routes = "".join(f"    - {{matchers: ['to=\"{name}\"'], receiver: {name}}}\n" for name in names[:2])
        (self.folder / "config" / "alertd.yaml").write_text(
            "timezone: UTC\n"
            f"receivers:\n{hooks}"
            f"route:\n  receiver: desk\n  group_by: [milestone]\n  routes:\n{routes}"
            "    - {matchers: ['to=\"weekly\"'], receiver: weekly, digest: {every: monday, ahead: 30d}}\n"
        )

    def _write_due(self, name: str, count: int, due: datetime) -> None:
        deadline = f"{due + timedelta(minutes=1):%Y-%m-%dT%H:%M:%S}Z"
        lines = [
            f"  - {{id: m{number}, title: 'Promise {number}', deadline: '{deadline}', "
            f"labels: {{to: {name}}}, source: minister}}\n"
            for number in range(count)
        ]
        for number, start in enumerate(range(0, count, PER_FILE)):
            self._write(f"{name}{number}", POLICY, lines[start : start + PER_FILE])

    def _write_many(self, name: str, count: int) -> None:
        year = datetime.now(UTC).year + 1
        lines = []
        for index in range(count):
            month = f"{year + index % 3}-{index % 12 + 1:02}"
            deadline = month if index % 3 else f"{month}-{index % 28 + 1:02}"
            lines.append(
                f"  - {{id: m{index}, title: 'Promise {index}, version {self.revision}', "
                f"deadline: '{deadline}', source: minister}}\n"
            )
        self._write(name, "timezone: Asia/Baghdad\n", lines)

    def _write(self, name: str, head: str, lines: Sequence[str]) -> None:
        path = self.folder / "config" / "milestones" / f"{name}.yaml"
        draft = path.with_name(f".{name}.draft")
        draft.write_text(
            f"timeline: {name}\ntitle: Timeline {name}\n{head}"
            "sources: {minister: {who: 'A. Minister', publisher: The Gazette, published: '2024-09-08'}}\n"
            f"milestones:\n{''.join(lines)}"
        )
        draft.rename(path)


def _name(timeline: str, number: int) -> str:
    return f"{timeline}{number // PER_FILE}/m{number}"


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sink"]:
        asyncio.run(serve_sink(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        run_daemon(sys.argv[2:])
