"""What a process does not import, since an imported module takes memory for as long as the process runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, a_stage

pytestmark = pytest.mark.server

IMPORT = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")
"""A line that Python writes for each import with ``-X importtime``, also for one that fails."""

SELDOM = frozenset({
    "aiohttp", "aiosmtpd", "aiosmtplib", "alembic", "apprise", "cryptography", "dateutil",
    "greenlet._greenlet", "holidays", "httpx", "icalendar", "jinja2", "mako", "psycopg",
    "pygments", "rich.console", "alertd.cli.explain", "alertd.demo", "alertd.notify.slack", "alertd.testing",
    "sqlalchemy.dialects.postgresql", "sqlalchemy.orm",
})  # fmt: skip
"""What a daemon imports when something needs it: a message, a page, an upgrade, a certain receiver."""

OF_THE_WEB_SERVER = frozenset({"alertd.web.app", "click", "prometheus_client", "starlette", "uvicorn"})

OF_THE_SITE = frozenset({"alertd.web.application", "alertd.web.routes", "alertd.web.pages", "alertd.web.api"})


def find_imported(lines: Iterable[str], wanted: Iterable[str]) -> set[str]:
    """Return which of the wanted modules and packages the process has imported."""
    names = {found[1] for line in lines if (found := IMPORT.match(line))}
    assert "alertd" in names
    return {name for name in wanted if name in names or any(one.startswith(f"{name}.") for one in names)}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path) as made:
        made.write_config(made.hook())
        made.write_timeline(m="2099-09-30T12:00")
        yield made


async def test_daemon_imports_what_it_needs(stage: Stage) -> None:
    """That holds for a daemon that creates its ledger, and for one that finds a current ledger."""
    for _ in ("a new ledger", "a current ledger"):
        daemon = await stage.start(PYTHONPROFILEIMPORTTIME="1")
        assert await daemon.stop() == 0

        assert find_imported(daemon.garbage, SELDOM | OF_THE_WEB_SERVER) == set()


async def test_web_server_makes_the_site_at_the_first_request(stage: Stage) -> None:
    """Until then it only listens."""
    daemon = await stage.start(PYTHONPROFILEIMPORTTIME="1", ALERTD_LISTEN="127.0.0.1:0")
    assert await daemon.stop() == 0

    assert find_imported(daemon.garbage, SELDOM | OF_THE_SITE) == set()
    assert find_imported(daemon.garbage, OF_THE_WEB_SERVER) == OF_THE_WEB_SERVER


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (
            ("--version",),
            {"alertd.app", "alertd.cli.run", "asyncio", "pydantic", "rich.console", "sqlalchemy"},
        ),
        (("check", "--format", "json"), {*SELDOM, *OF_THE_WEB_SERVER, "sqlalchemy"} - {"rich.console"}),
    ],
)
def test_command_imports_what_it_needs(stage: Stage, arguments: tuple[str, ...], unwanted: set[str]) -> None:
    """A command that a person waits for starts quickly."""
    command = [sys.executable, "-X", "importtime", "-m", "alertd", *arguments]
    environment = {**os.environ, "ALERTD_CONFIG": str(stage.config)}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert find_imported(done.stderr.splitlines(), unwanted) == set()
