"""Starts child processes that never outlive the benchmark, and measures their CPU time and memory.

The kernel kills each child when the benchmark ends, however it ends. A benchmark that is interrupted leaves
at most a temporary folder.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tests.torture.leash import PR_SET_PDEATHSIG

ROOT = Path(__file__).parents[2]
POLL_S = 0.01
QUIET_FOR_S = 1.0
QUIET_SHARE = 0.4
"""A process tree is busy if it uses more than this share of a processor for a tenth of a second. It is quiet
if it was not busy for QUIET_FOR_S. A look of an idle daemon takes less."""

_libc = ctypes.CDLL(None, use_errno=True)
_ticks = os.sysconf("SC_CLK_TCK")


class Stuck(RuntimeError):
    """Something did not happen within its time limit."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Called in the child."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


@contextmanager
def start_child(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | int = subprocess.DEVNULL,
    errors: IO[bytes] | int = subprocess.DEVNULL,
    stop_within_s: float = 30.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, and stop it at the end: by SIGTERM, and by SIGKILL if it does not stop in time."""
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        preexec_fn=die_with_parent,  # noqa: PLW1509  the benchmark has no other thread when it starts a child
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(stop_within_s)
        if child.poll() is None:
            child.kill()
            child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def run_measured(command: Sequence[str], *, limit_s: float = 900.0) -> tuple[float, float]:
    """Run a program to its end. Return its wall time and the CPU time of it and its children, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=limit_s,
        check=False,
        preexec_fn=die_with_parent,
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr[-2000:].decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def read_cpu_s(pid: int) -> float:
    """Return the CPU time of a process, of its live descendants, and of those that it has waited for."""
    total = 0.0
    for each in (pid, *_find_descendants(pid)):
        with suppress(OSError):
            total += _read_own_cpu_s(each)
    return total


def read_memory_mb(pid: int) -> float:
    """Return the resident memory of a process and its descendants, in MB. Shared pages count once each."""
    total = 0
    for each in (pid, *_find_descendants(pid)):
        with suppress(OSError):
            lines = Path(f"/proc/{each}/status").read_text(encoding="ascii").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total / 1000


def wait_until(condition: Callable[[], bool], what: str, limit_s: float) -> None:
    ends = time.perf_counter() + limit_s
    while not condition():
        if time.perf_counter() > ends:
            raise Stuck(f"{what}: not within {limit_s:g} s")
        time.sleep(POLL_S)


def wait_until_quiet(pid: int, limit_s: float) -> float:
    """Wait until a process tree has nothing more to do. Return when it ended, by ``time.perf_counter``."""
    ends = time.perf_counter() + limit_s
    last, used = time.perf_counter(), read_cpu_s(pid)
    while (now := time.perf_counter()) - last < QUIET_FOR_S:
        if now > ends:
            raise Stuck(f"process {pid} is still busy after {limit_s:g} s")
        time.sleep(0.1)
        before, used = used, read_cpu_s(pid)
        if used - before > QUIET_SHARE * (time.perf_counter() - now):
            last = time.perf_counter()
    return last


def _read_own_cpu_s(pid: int) -> float:
    """Return the CPU time of a process and of its dead children, in nanoseconds' precision where there is."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system, dead_user, dead_system = (int(field) for field in fields[11:15])
    own = (user + system) / _ticks
    return max(own, _read_threads_s(pid)) + (dead_user + dead_system) / _ticks


def _read_threads_s(pid: int) -> float:
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            total += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


def _find_descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children = (thread / "children").read_text(encoding="ascii").split()
            for child in map(int, children):
                found += [child, *_find_descendants(child)]
    return found
