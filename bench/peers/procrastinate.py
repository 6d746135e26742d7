"""Procrastinate: a queue of durable jobs on PostgreSQL, each of which posts one webhook with the bare client.

It is installed into a virtual environment in a temporary folder, unless ``PROCRASTINATE_PYTHON`` names the
interpreter of one that has it, with httpx-aiohttp.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.kit.postgres import MISSING, Postgres
from bench.kit.process import ROOT, die_with_parent, python
from bench.kit.sink import Sink

NAME = "Procrastinate"
DESCRIPTION = (
    "a queue of durable jobs on PostgreSQL, 8 at a time in a worker, each posting by the same client"
)
PACKAGES = ("procrastinate>=3,<4", "psycopg[binary]>=3.2", "httpx>=0.28", "httpx-aiohttp>=0.1.8")
WORKER = ROOT / "bench" / "peers" / "procrastinate_worker.py"
INSTALL_LIMIT_S = 180.0
SHARE = 5
"""It delivers this share of the number, since it takes longer."""


@contextmanager
def prepare(sink: Sink, postgres: Postgres | None) -> Iterator[Callable[[int], float] | str]:
    if postgres is None:
        yield MISSING
        return
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as folder:
        interpreter = os.environ.get("PROCRASTINATE_PYTHON") or _install(Path(folder) / "venv")
        if interpreter:
            yield lambda count: send(interpreter, postgres, sink, max(10, count // SHARE))
        else:
            yield "it could not be installed: pip has no access to a package index"


def send(interpreter: str, postgres: Postgres, sink: Sink, count: int) -> float:
    with postgres.make_database(migrated=False) as url:
        sink.reset()
        _run([interpreter, "-P", str(WORKER), url, f"{sink.url}/peer", str(count)], 60.0 + count / 5)
        report = sink.wait_for(count)
    return (count - 1) / (report.last - report.first)


def _install(venv: Path) -> str:
    """Return the interpreter of a new virtual environment with the packages, or "" if there can be none."""
    interpreter = str(venv / "bin" / "python")
    try:
        _run(python("-m", "venv", str(venv)), INSTALL_LIMIT_S)
        _run([interpreter, "-m", "pip", "install", "-q", *PACKAGES], INSTALL_LIMIT_S)
    except (OSError, subprocess.SubprocessError):
        return ""
    return interpreter


def _run(command: list[str], limit_s: float) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=limit_s, preexec_fn=die_with_parent)
