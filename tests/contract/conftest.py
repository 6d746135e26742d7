"""Provide each kind of ledger. Tests share a PostgreSQL server, and each test has its own database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from alertd.ports import Ledger
from alertd.store import open_ledger
from alertd.testing.memory_ledger import MemoryLedger
from tests.postgres import Server, make_template, server, virtual_ledger


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Start a PostgreSQL server that is fast but would lose data in a crash."""
    with server() as made:
        make_template(made)
        yield made


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.server)])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    with ExitStack() as stack:
        made: Ledger
        match request.param:
            case "memory":
                made = MemoryLedger()
            case "sqlite":
                made = await open_ledger(f"sqlite:///{tmp_path}/ledger.db")
            case _:
                server: Server = request.getfixturevalue("postgres")
                made = await virtual_ledger(stack.enter_context(server.database()))
        yield made
        await made.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without a ledger."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    server: Server = request.getfixturevalue("postgres")
    with server.empty_database() as made:
        yield made
