"""A PostgreSQL server that syncs each commit to disk, and that ends with the benchmark, however that ends."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from bench.kit.process import python, start_child, wait_until
from tests.postgres import free_port, programs
from tests.torture.leash import PARENT
from tests.torture.postgres import USER

SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60")
MISSING = "no PostgreSQL server on this machine"


class Postgres:
    """A server under way, with the databases that the rows make in it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._made = 0

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def make_database(self, *, migrated: bool = True) -> Iterator[str]:
        """Make a database, with alertd's tables if ``migrated``, and drop it at the end. Yields its URL."""
        self._made += 1
        name = f"bench{self._made}"
        self.execute(f"create database {name}")
        if migrated:
            migrate = (
                "import asyncio, sys; from alertd.store import migrate; asyncio.run(migrate(sys.argv[1]))"
            )
            subprocess.run(python("-c", migrate, self.url(name)), check=True, capture_output=True)
        try:
            yield self.url(name)
        finally:
            # When the run is stopped, the server may have ended before.
            with suppress(psycopg.OperationalError):
                self.execute(f"drop database {name} with (force)")

    def answers(self) -> bool:
        try:
            self.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def start_postgres() -> Iterator[Postgres | None]:
    """Start a server. Yields None if this machine has no programs of one."""
    found = programs()
    if found is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="alertd-bench-postgres-"))
    try:
        user = _find_user()
        if user != "-":
            shutil.chown(folder, user)
            if not found.is_relative_to("/usr"):
                found = Path(shutil.copytree(found.parent, folder / "programs", symlinks=True)) / found.name
        data, leash = folder / "data", python("-m", "tests.torture.leash", user)
        environment = {**os.environ, PARENT: str(os.getpid())}
        made = [str(found / "initdb"), "-D", str(data), "-A", "trust", "-U", USER, "-E", "UTF8"]
        subprocess.run([*leash, *made, "--locale=C"], check=True, capture_output=True, env=environment)
        server = Postgres(free_port())
        settings = [part for each in (f"port={server.port}", *SETTINGS) for part in ("-c", each)]
        run = [*leash, str(found / "postgres"), "-D", str(data), *settings]
        with start_child(run, environment=environment):
            wait_until(server.answers, "PostgreSQL", 60.0)
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_user() -> str:
    """Return the user that the server runs as: "-" is this one. PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return "-"
    return "postgres" if "postgres" in {each.pw_name for each in pwd.getpwall()} else "nobody"
