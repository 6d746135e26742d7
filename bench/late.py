"""Measures how late a reminder is while the daemon does something else.

``python -m bench.late [MILESTONES] [LOAD ...]`` starts a daemon as it is shipped, with a ledger in SQLite on
disk, and a sink, each as a process of its own. A probe falls due every 100 ms, beside one load after another.
For each load it prints how late the probes reached the sink, the same as ratios to the lateness without a
load, and what the daemon says about the lag of its loop.

The probes are reminders that have fallen due already. The benchmark moves their wake-up time in the ledger,
as a mute does, because a deadline counts whole seconds.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from bench.late_stage import EVERY_S, LASTS_S, LEDGER, LIMIT_S, LOOP, PER_FILE, Stage, find_free_port

BEGINS_AFTER_S = 2.0
"""When the first probe of a load is due. The daemon looks every second whether the ledger has changed."""

SETTLES_S = 60.0
"""How long the benchmark waits at most for the last probe of a load."""

PAGES = (
    "/?zoom=all",
    "/",
    "/api/v1/milestones",
    "/feeds/all.ics",
    "/feeds/all.atom",
    "/deliveries",
    "/metrics",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """How late the probes beside one load were, in seconds.

    Attributes:
        lost: probes that have not arrived.
        lag_s: the longest lag of the loop that the daemon has measured meanwhile; None if it does not say.
        holders: what kept the loop, the ledger's thread, another thread or the garbage collector busy for
            longer than LONG_S, by the time of the processor: the longest in seconds, how many there were, and
            what the longest was.
        note: how much of the load was done.
    """

    load: str
    p50_s: float
    p99_s: float
    worst_s: float
    lost: int
    lag_s: float | None
    holders: Mapping[str, tuple[float, int, str]]
    note: str = ""

    def get_longest(self, where: str) -> float:
        """Return how many seconds something was busy at most; 0 if that was never long."""
        return self.holders.get(where, (0.0, 0, ""))[0]


# The loads. Each does its work until the instant is over, and says how much it did.


def load_nothing(_stage: Stage, until: float) -> str:
    time.sleep(max(0.0, until - time.time()))
    return ""


def load_changed_file(stage: Stage, until: float) -> str:
    done = 0
    while time.time() < until:
        stage.change(1)
        stage.reload()
        done += 1
    return f"{done} reloads"


def load_changed_files(stage: Stage, until: float) -> str:
    began = time.time()
    stage.change(stage.milestones // PER_FILE)
    stage.reload()
    took = time.time() - began
    load_nothing(stage, until)
    return f"1 reload in {took:.0f} s"


def load_other_node(stage: Stage, until: float) -> str:
    done = 0
    while time.time() < until:
        log = stage.folder / f"other{done}.log"
        with stage.run_daemon(find_free_port(), log):
            while b'"daemon.ready"' not in log.read_bytes() and time.time() < until + LASTS_S:
                time.sleep(0.2)
        done += 1
    return f"{done} starts"


def load_pages(stage: Stage, until: float) -> str:
    done = 0
    while time.time() < until:
        for path in PAGES:
            with urllib.request.urlopen(f"http://127.0.0.1:{stage.web}{path}", timeout=LIMIT_S) as answer:
                answer.read()
            done += 1
    return f"{done} pages"


def load_prune(stage: Stage, until: float) -> str:
    number = stage.age()
    load_nothing(stage, until)
    with closing(sqlite3.connect(stage.folder / "ledger.sqlite3", timeout=60)) as connection:
        (left,) = connection.execute("select count(*) from milestone where withdrawn").fetchone()
    return f"{number - left} of {number} milestones deleted"


def load_backup(stage: Stage, until: float) -> str:
    done = 0
    while time.time() < until:
        copy = stage.folder / f"copy{done}.sqlite3"
        given = ["-m", "alertd", "backup", str(copy), "--database", stage.database]
        subprocess.run([sys.executable, *given], check=True, capture_output=True, timeout=LIMIT_S)
        copy.unlink()
        done += 1
    return f"{done} copies"


def load_backlog(stage: Stage, until: float) -> str:
    stage.wake("crowd", time.time())
    load_nothing(stage, until)
    return f"{stage.count_arrivals('crowd'):,} sent"


def load_digest(stage: Stage, until: float) -> str:
    stage.wake_digest("weekly", time.time())
    load_nothing(stage, until)
    return f"{(stage.folder / 'arrivals').read_text().count('other')} digests and notices"


LOADS: dict[str, tuple[str, Callable[[Stage, float], str]]] = {
    "none": ("nothing", load_nothing),
    "one-file": ("reloads, 1 file changed", load_changed_file),
    "all-files": ("a reload, all files changed", load_changed_files),
    "node": ("another node starts and stops", load_other_node),
    "pages": ("pages, API, feeds, metrics", load_pages),
    "prune": ("a prune of old milestones", load_prune),
    "backup": ("backups", load_backup),
    "backlog": ("10,000 due for another receiver", load_backlog),
    "digest": ("a digest of 5,000", load_digest),
}


def measure_load(stage: Stage, name: str) -> Lateness:
    label, load = LOADS[name]
    lag, logged = stage.read_lag(), stage.log.stat().st_size
    begins = time.time() + BEGINS_AFTER_S
    due = stage.schedule(begins)
    time.sleep(BEGINS_AFTER_S)
    note = load(stage, begins + LASTS_S)
    stage.wait_quiet()
    until = time.time() + SETTLES_S
    while due.keys() - (arrived := stage.read_arrivals()).keys() and time.time() < until:
        time.sleep(0.2)
    late = sorted(arrived[name] - at for name, at in due.items() if name in arrived)
    if not late:
        raise SystemExit(f"no probe has arrived: {stage.log.read_text()[-2000:]}")
    return Lateness(
        load=label,
        p50_s=late[len(late) // 2],
        p99_s=late[min(len(late) - 1, round(len(late) * 0.99) - 1)],
        worst_s=late[-1],
        lost=len(due) - len(late),
        lag_s=_find_longest(stage.read_lag(since=lag)),
        holders=stage.find_longest(since=logged),
        note=note,
    )


def _find_longest(buckets: dict[str, float]) -> float | None:
    """Return the upper bound of the highest bucket in which there is something."""
    if not buckets:
        return None
    return next(float(bound) for bound, count in buckets.items() if count == buckets["+Inf"])


def measure(milestones: int, loads: Sequence[str] = tuple(LOADS)) -> Iterator[Lateness]:
    """Measure each load once, in this order."""
    with tempfile.TemporaryDirectory(prefix="alertd-late-") as folder, ExitStack() as stack:
        stage = Stage(folder=Path(folder), milestones=milestones)
        stage.start(stack)
        for name in loads:
            yield measure_load(stage, name)


def _get_times(found: Lateness) -> tuple[float, ...]:
    return found.p50_s, found.p99_s, found.worst_s


def format_line(found: Lateness, alone: Lateness | None) -> str:
    alone = alone or found
    times = " ".join(f"{seconds * 1e3:7.0f}" for seconds in _get_times(found))
    pairs = zip(_get_times(found), _get_times(alone), strict=True)
    ratios = " ".join(f"{mine / its:6.1f}" for mine, its in pairs)
    lag = "" if found.lag_s is None else f"{found.lag_s * 1e3:8.0f}"
    busy = f"{found.get_longest(LOOP) * 1e3:5.0f} {found.get_longest(LEDGER) * 1e3:6.0f}"
    lost = f"  {found.lost} lost" if found.lost else ""
    return f"{found.load:32}{times}   {ratios} {lag:>9} {busy}   {found.note}{lost}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.late", description=__doc__)
    parser.add_argument("milestones", nargs="?", type=int, default=100_000)
    parser.add_argument("loads", nargs="*", choices=[*LOADS, []], help=", ".join(LOADS))
    parser.add_argument("--holders", action="store_true", help="say what was busy for long")
    given = parser.parse_args()
    print(f"{given.milestones:,} milestones; a probe every {EVERY_S * 1e3:.0f} ms; milliseconds late")
    print(
        f"{'beside':32}{'p50':>7} {'p99':>7} {'worst':>7}   {'p50':>6} {'p99':>6} {'worst':>6} "
        f"{'lag':>9}  {'busy':>4} {'ledger':>6}"
    )
    print(f"{'':56}{'(of that without a load)':>20}")
    alone: Lateness | None = None
    for found in measure(given.milestones, given.loads or tuple(LOADS)):
        alone = alone or found
        print(format_line(found, alone), flush=True)
        if given.holders:
            for where, (longest, count, what) in sorted(found.holders.items()):
                print(f"    {where}: {count} times, at most {longest * 1e3:.0f} ms: {what[:200]}", flush=True)


if __name__ == "__main__":
    main()
