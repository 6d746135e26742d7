"""The attacks that ``make attack`` carries out. Each begins, yields while it is in force, and then looks."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from alertd.testing import HttpSink
from alertd.testing.http_sink import Answer
from tests.attack.scene import Scene, Setting
from tests.e2e.stage import Stage
from tests.web.stage import PASSWORD, csrf_of

HALF = b"GET /healthz HTTP/1.1\r\nHost: loc"
MALFORMED = (
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd",
)
AT_ONCE = 50
CLIENTS = 8
"""From how many addresses connections come; the first is the address that also asks for the health."""

CONNECT_S = 5.0
LATIN = "HTTP/1.1 200 Très bien\r\nContent-Length: 2\r\n\r\nok".encode("latin-1")
LIST = f"[{','.join('1' * 90)}]"
LONG_TEXT = f"({' ~ '.join(['text'] * 150)})"
COSTLY = (
    f"[{{% for a in {LIST} %}}{{% for b in {LIST} %}}{{% if {LONG_TEXT}{'|upper|lower' * 10} == 'x' %}}"
    "{% endif %}{% endfor %}{% endfor %}0]"
)
"""A template with 8,100 steps, each of which reads a large text twenty times."""

HOURLY = "{before: [1d], on_day: true, after: [1d], then_every: 1h, opens: false}"
"""A policy that asks for 9,600 reminders of each milestone in the 400 days that are planned ahead."""


# -- connections


async def open_silent_connections(scene: Scene) -> AsyncIterator[None]:
    async with Flood(scene.port) as flood:
        await flood.open(scene.amount, b"")
        scene.figures.append(f"{scene.amount:,} connections opened")
        yield
        scene.figures.append(f"{scene.descriptors} of 1,024 descriptors used")


async def send_half_heads(scene: Scene) -> AsyncIterator[None]:
    async with Flood(scene.port) as flood:
        await flood.open(scene.amount, HALF)
        scene.figures.append(f"{scene.amount:,} heads begun")
        yield
        scene.figures.append(f"{scene.descriptors} of 1,024 descriptors used")


async def send_malformed_chunks(scene: Scene) -> AsyncIterator[None]:
    before, sent = len(scene.daemon.events), 0

    async def send(number: int) -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
        writer.write(MALFORMED[number % len(MALFORMED)])
        await asyncio.gather(reader.read(), return_exceptions=True)
        writer.close()
        sent += 1

    async def send_some() -> None:
        await asyncio.gather(*(send(number) for number in range(AT_ONCE)))

    async with repeat(send_some):
        yield
        await scene.happens(lambda: sent >= scene.amount)
    blamed = [one for one in scene.daemon.events[before:] if not one["event"].startswith("delivery.")]
    lines = sum("exception" in one or one["level"] in ("warning", "error") for one in blamed)
    scene.demand(sent >= scene.amount, f"{sent} requests were sent")
    scene.demand(not scene.daemon.garbage, f"not a log event: {scene.daemon.garbage[:1]}")
    scene.demand(lines <= 1, f"{lines} warnings: {blamed[:2]}")
    scene.figures.append(f"{count(sent, 'request')}, {count(lines, 'warning')} in the log")


async def guess_passwords(scene: Scene) -> AsyncIterator[None]:
    statuses: Counter[int] = Counter()
    async with scene.client() as browser:
        form = csrf_of((await browser.get("/login")).text)

        async def guess(secret: str) -> int:
            try:
                answer = await browser.post("/login", data={"csrf": form, "name": "bob", "secret": secret})
            except httpx.HTTPError:
                return 0  # the daemon has closed one of too many connections
            return answer.status_code

        async def guess_some() -> None:
            statuses.update(await asyncio.gather(*(guess(f"not it {n}") for n in range(scene.amount))))

        await guess_some()
        compared = statuses[401]
        again = await guess(PASSWORD)
        async with repeat(guess_some):
            yield
    scene.demand(set(statuses) <= {0, 401, 429, 503}, f"answers to wrong passwords: {dict(statuses)}")
    scene.demand(compared <= 10, f"{compared} guesses were compared")
    scene.demand(again != 303, f"a guess after them was answered with {again}")
    scene.demand(await scene.ask("/", known=True) == 200, "who has a token is locked out")
    later = statuses[401] - compared
    scene.figures.append(
        f"of {scene.amount} guesses at the same time {compared} compared, "
        f"of {statuses.total() - scene.amount:,} after them {later}"
    )


@asynccontextmanager
async def repeat(act: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Carry out an attack again and again in the meantime."""

    async def go_on() -> None:
        while True:
            await act()

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Flood:
    """Raw connections, which are kept open, from several addresses of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[socket.socket] = []

    async def open(self, count: int, sent: bytes) -> None:
        for start in range(0, count, AT_ONCE):
            await asyncio.gather(*(self._connect(n, sent) for n in range(start, min(count, start + AT_ONCE))))

    async def _connect(self, number: int, sent: bytes) -> None:
        sock = socket.socket()
        self._open.append(sock)
        sock.setblocking(False)
        sock.bind((f"127.0.0.{number % CLIENTS + 1}", 0))
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
                if sent:
                    await asyncio.get_running_loop().sock_sendall(sock, sent)
        except (OSError, TimeoutError):
            return  # the daemon may refuse or close what is too much

    async def __aenter__(self) -> Flood:
        return self

    async def __aexit__(self, *_: object) -> None:
        for sock in self._open:
            sock.close()


# -- files of the configuration


async def damage_config(scene: Scene) -> AsyncIterator[None]:
    """Empty, comments alone, cut off, and finally missing: access rules and receivers stay in force."""
    file = scene.stage.config / "alertd.yaml"
    text = file.read_text()
    refused = 0
    for damaged in ("", "# all of it is commented out\n", text[: len(text) // 2], None):
        _replace(file, damaged)
        refused += await scene.reload() != 0
        await _demand_access_rules(scene, f"with alertd.yaml {damaged!r:.20}")
    yield
    await _demand_access_rules(scene, "without alertd.yaml")
    status = (await scene.stage.said("status")).decode()
    scene.demand("alertd.yaml" in status, "alertd status does not name the file")
    scene.demand(refused == 4, f"{refused} of 4 reloads were refused")
    _replace(file, text)
    scene.demand(await scene.reload() == 0, "the corrected file is not accepted")
    scene.figures.append("4 damaged files refused, 401 stayed 401")


async def empty_access_files(scene: Scene) -> AsyncIterator[None]:
    """The tokens and users emptied in place, cut off, and missing: nobody gets in who could not before."""
    steps = 0
    for name in ("tokens", "users"):
        file = scene.stage.config / name
        text = file.read_text()
        for damaged in ("", text[: len(text) // 2], None):
            _replace(file, damaged)
            await scene.reload()
            await _demand_access_rules(scene, f"with {name} {damaged!r:.20}")
            steps += 1
        _replace(file, text)
        await scene.reload()
    yield
    await _demand_access_rules(scene, "afterwards")
    scene.figures.append(f"{steps} damaged files, 401 stayed 401, the known token stayed valid")


async def put_pipe_in_folder(scene: Scene) -> AsyncIterator[None]:
    """A named pipe without a writer: a process that opens it waits for ever."""
    os.mkfifo(scene.stage.config / "milestones" / "pipe.yaml")
    status = await scene.reload()
    yield
    scene.demand(status == 1, f"the reload ended with status {status}")
    scene.demand(bool(scene.daemon.count("file.refused")), "the pipe is not named")
    scene.figures.append("reload answered, pipe named")


async def mistype_base(scene: Scene) -> AsyncIterator[None]:
    """Very many deadlines that count from a milestone which does not exist."""
    before = scene.daemon.count("file.refused")
    for name in ("v", "w"):
        listed = "".join(
            f"  - {{id: d{number}, title: D, after: bsae + 3d}}\n" for number in range(scene.amount // 2)
        )
        base = "  - {id: base, title: B, deadline: 2099-09, source: m}\n"
        head = f"timeline: {name}\ntitle: W\nsources: {{m: {{who: A. Minister}}}}\n"
        scene.stage.write(f"milestones/{name}.yaml", f"{head}milestones:\n{base}{listed}")
    inner = await scene.stage._execute("reload", "--wait")
    out, err = await inner.communicate()
    yield
    scene.demand(inner.returncode == 1, f"the reload ended with status {inner.returncode}")
    told = scene.daemon.count("file.refused") - before
    lines = len((out + err).splitlines())
    scene.demand(lines <= 200, f"the command printed {lines} lines")
    scene.figures.append(f"{scene.amount:,} dependants, {lines} lines printed, {told} log events")


async def rename_with_typo(scene: Scene) -> AsyncIterator[None]:
    """The file is renamed, and its new version cannot be read: its milestones stay, and are reminded of."""
    file = scene.stage.config / "milestones" / "t.yaml"
    text = file.read_text()
    file.unlink()
    scene.stage.write("milestones/renamed.yaml", text.replace("milestones:", "milestones", 1))
    status = await scene.reload()
    yield
    withdrawn = scene.daemon.count("milestone.withdrawn")
    scene.demand(status == 1, f"the reload ended with status {status}")
    scene.demand(withdrawn == 0, f"{withdrawn} milestones were withdrawn")
    scene.figures.append(f"{len(scene.due)} milestones, {withdrawn} withdrawn")


async def repeat_hourly(scene: Scene) -> AsyncIterator[None]:
    day = datetime.now(UTC) - timedelta(days=3)
    listed = "".join(
        f"  - {{id: r{number}, title: R, deadline: {day:%Y-%m-%d}, source: m}}\n"
        for number in range(scene.amount)
    )
    head = f"timeline: r\ntitle: R\npolicy: {HOURLY}\nsources: {{m: {{who: A. Minister}}}}\n"
    scene.stage.write("milestones/r.yaml", f"{head}milestones:\n{listed}")
    status = await scene.reload()
    yield
    with closing(sqlite3.connect(scene.stage.ledger)) as ledger:
        (rows,) = ledger.execute("select count(*) from owed where milestone like 'r/%'").fetchone()
    scene.demand(status == 0, f"the reload ended with status {status}")
    scene.demand(rows <= 20 * scene.amount, f"{rows} rows")
    memory = _read_memory_mb(scene.daemon.inner.pid)
    scene.figures.append(f"{scene.amount} milestones, {rows:,} rows, {memory} MB of memory")


async def _demand_access_rules(scene: Scene, when: str) -> None:
    statuses = [
        await scene.ask("/api/v1/milestones", known=False),
        await scene.act_anonymously(),
        await scene.ask("/api/v1/milestones", known=True),
    ]
    scene.demand(statuses == [401, 401, 200], f"{when}: anonymous, anonymous act, token: {statuses}")


def _replace(file: Path, text: str | None) -> None:
    """Write in place, as a shell's ``>`` does, or delete."""
    if text is None:
        file.unlink()
    else:
        file.write_text(text)


def _read_memory_mb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


# -- receivers


async def prepare_busy(stage: Stage, cleanups: AsyncExitStack) -> Setting:
    busy = Answer(status=503, headers={"Retry-After": "2"})
    return await _prepare_sink(cleanups, busy)


async def answer_busy(scene: Scene) -> AsyncIterator[None]:
    sink = scene.setting.sink
    assert sink is not None
    yield
    scene.demand(bool(sink.requests), "the receiver was never asked")
    scene.figures.append(f"{count(len(sink.requests), 'request')} answered with 503")


async def prepare_malformed(stage: Stage, cleanups: AsyncExitStack) -> Setting:
    return await _prepare_sink(cleanups, Answer(raw=(LATIN,)))


async def answer_malformed(scene: Scene) -> AsyncIterator[None]:
    sink = scene.setting.sink
    assert sink is not None
    yield
    names = Counter(request.headers["webhook-id"] for request in sink.requests)
    scene.demand(bool(names), "the receiver was never asked")
    scene.demand(set(names.values()) == {1}, f"posted again: {names.most_common(3)}")
    scene.figures.append(f"{len(names)} accepted in Latin-1, {names.total() - len(names)} posted again")


async def prepare_template(stage: Stage, cleanups: AsyncExitStack) -> Setting:
    return await _prepare_sink(
        cleanups, Answer(), "format: template, template_file: hook.j2", {"hook.j2": "[{{ id }}]"}
    )


async def swap_template(scene: Scene) -> AsyncIterator[None]:
    """The file of a template becomes one that costs too much; it is read at each send."""
    sink = scene.setting.sink
    assert sink is not None
    scene.stage.write("hook.j2", COSTLY)
    before = len(sink.requests)
    yield
    await scene.happens(lambda: len(sink.requests) > before)
    stopped = [one for one in scene.daemon.events if "operations" in str(one.get("reason"))]
    built_in = sum(_is_built_in(request.body) for request in sink.requests[before:])
    scene.demand(built_in > 0, "nothing was sent in the built-in format")
    scene.demand(bool(stopped), "no template was stopped for its operations")
    scene.figures.append(f"{count(built_in, 'message')} in the built-in format")


def _is_built_in(body: bytes) -> bool:
    return isinstance(json.loads(body), dict)


async def _prepare_sink(
    cleanups: AsyncExitStack, answer: Answer, more: str = "", files: dict[str, str] | None = None
) -> Setting:
    sink = await cleanups.enter_async_context(HttpSink(answer))
    options = f", {more}" if more else ""
    notifier = f"{{type: webhook, url: '{sink.url}/bad'{options}}}"
    return Setting(receivers={"bad": notifier}, files=files or {}, sink=sink)


async def prepare_locked(stage: Stage, cleanups: AsyncExitStack) -> Setting:
    """A file that another process locks for ever."""
    path = stage.config.parent / "locked.jsonl"
    file = cleanups.enter_context(path.open("w"))
    fcntl.flock(file, fcntl.LOCK_EX)
    return Setting(receivers={"bad": f"{{type: file, path: '{path}'}}"})


async def lock_file(scene: Scene) -> AsyncIterator[None]:
    yield
    await scene.happens(lambda: scene.daemon.count("delivery.retried") > 0)
    waiting = (scene.stage.config.parent / "locked.jsonl").stat().st_size
    given_up = scene.daemon.count("delivery.retried")
    scene.demand(waiting == 0, "the lock was not respected")
    scene.demand(given_up > 0, "no attempt was given up")
    scene.demand(await scene.ask("/", known=True) == 200, "the page does not answer")
    scene.figures.append(f"{count(given_up, 'attempt')} given up")
