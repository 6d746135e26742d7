"""What a daemon with one milestone costs while nothing is due: memory and CPU time."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.kit.daemon import READY, start_daemon
from bench.kit.figure import Figure, Sizes
from bench.kit.folder import Folder
from bench.kit.process import python, read_memory_mb, start_child

LIBRARIES = (
    *("aiohttp", "aiosmtplib", "alembic", "apscheduler", "httpx", "httpx_aiohttp", "icalendar", "jinja2"),
    *("prometheus_client", "pydantic", "pydantic_settings", "dateutil.rrule", "rich.console", "sqlalchemy"),
    *("sqlite3", "starlette.applications", "structlog", "typer", "uvicorn", "yaml"),
)
"""All that alertd depends on when it runs on SQLite, whether it imports it at its start or not."""


def measure_idle(sizes: Sizes) -> Iterator[Figure]:
    """Resident memory and CPU time of an idle daemon, against a bare interpreter with the same libraries."""
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as name:
        root = Path(name)
        folder = Folder(path=root / "config")
        folder.write_config()
        folder.write_many(1)
        with start_daemon(folder.path, f"sqlite:///{root}/ledger.sqlite3", root / "log") as daemon:
            daemon.wait_for(READY)
            daemon.wait_until_quiet()
            before, began = daemon.read_cpu_s(), time.perf_counter()
            time.sleep(sizes.idle_s)
            share = (daemon.read_cpu_s() - before) / (time.perf_counter() - began)
            memory_mb = daemon.read_memory_mb()
    bare_mb, empty_mb = measure_interpreter(*LIBRARIES), measure_interpreter()
    yield Figure(
        name="resident-one",
        label="resident, idle, one milestone",
        value=memory_mb,
        unit="MB",
        most=70.0,
        note=f"{memory_mb / bare_mb:.2f} of an interpreter that has imported the same libraries, "
        f"which has {bare_mb:.0f} MB; an empty one has {empty_mb:.0f} MB",
    )
    yield Figure(
        name="idle-cpu",
        label="CPU while idle, one milestone",
        value=share * 100,
        unit="%",
        most=0.1,
        note=f"over {sizes.idle_s:g} s, with the web server open",
    )


def measure_interpreter(*libraries: str) -> float:
    """Return the resident memory of an interpreter that has imported the libraries, in MB."""
    imports = "".join(f"import {library}\n" for library in libraries)
    program = f"{imports}print(flush=True)\nimport threading\nthreading.Event().wait()"
    with start_child(python("-c", program), output=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        return read_memory_mb(child.pid)
