"""A real PostgreSQL server that can be killed, started again, followed by a standby, and promoted.

It is a child of the run and dies with it, unlike one that ``pg_ctl start`` has made.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

import psycopg

from tests.postgres import free_port, programs
from tests.torture.bell import Bell
from tests.torture.leash import PARENT
from tests.torture.nodes import ROOT

USER = "tester"
LIMIT_S = 60.0
TRIES = 20
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "wal_level=replica",
    "max_wal_senders=5",
    "max_connections=60",
    "shared_buffers=16MB",
    # In its own folder: what is killed cannot take it away.
    "dynamic_shared_memory_type=mmap",
)


MIGRATE = "import asyncio, sys; from alertd.store import migrate; asyncio.run(migrate(sys.argv[1]))"


def missing() -> str:
    """Why there can be no server; "" when there can."""
    found = programs()
    if found is None:
        return "there are no programs of a PostgreSQL server"
    return "" if (found / "pg_basebackup").exists() else f"there is no pg_basebackup in {found}"


def _owner() -> str:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return "-"
    return "postgres" if "postgres" in {one.pw_name for one in pwd.getpwall()} else "nobody"


def _reachable(folder: Path) -> Path:
    """The programs, where the server's user can go: a wheel may lie in a folder of root's."""
    found = programs()
    assert found is not None
    if _owner() == "-" or found.is_relative_to("/usr"):
        return found
    copied = folder / "programs"
    if not copied.exists():
        shutil.copytree(found.parent, copied, symlinks=True)
    return copied / found.name


class Postgres:
    """One server. ``create`` or ``follow`` once, then ``start``."""

    def __init__(self, folder: Path, name: str, bell: Bell) -> None:
        self.name = name
        self.port = free_port()
        self._programs = _reachable(folder)
        self._folder = folder / name
        self._data = self._folder / "data"
        self._bell = bell
        self._said: list[str] = []
        self._server: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._make_folder()

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    async def create(self) -> None:
        await self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", USER, "-E", "UTF8",
                        "--locale=C", "--no-sync")  # fmt: skip

    async def follow(self, primary: Postgres, slot: str) -> None:
        """Be a streaming standby of ``primary``, from scratch."""
        await self._run("pg_basebackup", "-d", primary.url, "-D", str(self._data), "-R", "-C", "-S", slot,
                        "-X", "stream", "-c", "fast", "--no-sync")  # fmt: skip

    async def start(self, *settings: str) -> None:
        """Return when it takes connections."""
        for _ in range(TRIES):
            if await self._started(settings):
                return
            # What is left of a killed one may still hold its memory.
            await asyncio.sleep(0.2)
        raise AssertionError(f"{self.name} does not start: {self._said[-10:]}")

    async def _started(self, settings: tuple[str, ...]) -> bool:
        given = [part for one in (f"port={self.port}", *SETTINGS, *settings) for part in ("-c", one)]
        self._said = []
        self._server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.torture.leash", _owner(),
            str(self._programs / "postgres"), "-D", str(self._data), *given,
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
            cwd=ROOT, env=self._environment(),
        )  # fmt: skip
        self._reader = asyncio.create_task(self._listen(self._server))
        await self._bell.within(LIMIT_S, self._is_up_or_gone, lambda: self._said[-10:])
        return self._server.returncode is None

    def _is_up_or_gone(self) -> bool:
        up = any("ready to accept" in line for line in self._said)
        return up or self._server is None or self._server.returncode is not None

    async def kill(self) -> None:
        """SIGKILL to the postmaster: its children see that, and end without a checkpoint."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGQUIT)

    async def _end(self, number: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is not None and server.returncode is None:
            server.send_signal(number)
            async with asyncio.timeout(LIMIT_S):
                await server.wait()

    async def promote(self) -> None:
        """Make a standby the primary; return when it takes writes."""
        await self._run("pg_ctl", "promote", "-w", "-D", str(self._data))

    def sets(self, name: str, value: str) -> None:
        """A setting from the next start on, over what it has taken over from another server."""
        with (self._data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.write(f"{name} = '{value}'\n")

    async def set(self, name: str, value: str) -> None:
        """A setting from now on."""
        change = f"alter system set {name} = '{value}'"
        await asyncio.to_thread(self._execute, change, "select pg_reload_conf()")

    async def migrate(self) -> None:
        """Make alertd's tables, in a process of its own: Alembic is not made for two at once in one."""
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, self.url, cwd=ROOT, stdin=DEVNULL, stderr=PIPE
        )
        async with asyncio.timeout(LIMIT_S):
            _, err = await done.communicate()
        if done.returncode:
            raise AssertionError(err.decode(errors="replace"))

    async def streams_to(self) -> None:
        """Return when a standby follows."""
        following = "select count(*) from pg_stat_replication where state = 'streaming'"
        for _ in range(200):
            if await asyncio.to_thread(self._execute, following) == 1:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"no standby follows {self.name}")

    def _execute(self, *statements: str) -> object:
        """What the last one says first."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            found = [connection.execute(one.encode()) for one in statements][-1].fetchone()
        return found[0] if found else None

    def forget(self) -> None:
        """Throw its data away."""
        shutil.rmtree(self._folder)
        self._make_folder()

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700)
        if _owner() != "-":
            shutil.chown(self._folder, _owner())

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], PARENT: str(os.getpid()), "LC_ALL": "C"}

    async def _listen(self, server: asyncio.subprocess.Process) -> None:
        assert server.stdout is not None
        async for raw in server.stdout:
            self._said.append(raw.decode(errors="replace").rstrip())
            self._bell.ring()
        self._bell.ring()

    async def _run(self, program: str, *arguments: str) -> None:
        done = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.torture.leash", _owner(), str(self._programs / program), *arguments,
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
            cwd=ROOT, env=self._environment(),
        )  # fmt: skip
        async with asyncio.timeout(LIMIT_S):
            out, _ = await done.communicate()
        if done.returncode:
            raise AssertionError(f"{program} of {self.name}: {out.decode(errors='replace')}")
