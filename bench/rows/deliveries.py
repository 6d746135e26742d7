"""How many reminders a second the daemon delivers and writes down, and what each costs, against its peers.

All reminders of a round are due at one instant for one receiver. The rate counts from that instant, so it
contains deciding and binding, until the last request has arrived at the sink. The cases take turns:

- the daemon on SQLite (``synchronous=FULL``) and on PostgreSQL, in a process of its own;
- the bare client (``bench/kit/client.py``), with bodies of the size that alertd sends;
- the peers (``bench/peers``), from their first request to their last.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.kit.client import IN_FLIGHT
from bench.kit.daemon import READY, start_daemon
from bench.kit.figure import Figure, Sizes, say
from bench.kit.folder import Folder
from bench.kit.postgres import MISSING, Postgres, start_postgres
from bench.kit.process import Stuck, python, run_measured, wait_until, wait_until_quiet
from bench.kit.sink import Report, Sink, start_sink
from bench.kit.turns import divide, take_turns
from bench.peers import PeerFailed, alertmanager, procrastinate

SLOW_SINK_S = 0.02
FIRST_LEAD_S = 6.0
LONGEST_LEAD_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What became of reminders that were due at once.

    Attributes:
        rate: deliveries per second from the instant at which they were due.
        cpu_s: CPU time of all daemons, from shortly before that instant until they were idle again.
    """

    rate: float
    cpu_s: float
    report: Report


def send_burst(
    sink: Sink,
    postgres: Postgres | None,
    count: int,
    *,
    nodes: int = 1,
    delay_s: float = 0.0,
    lead_s: float = FIRST_LEAD_S,
) -> Burst:
    """Have daemons deliver ``count`` reminders that are due at once, and measure that.

    Args:
        postgres: None for SQLite.
        delay_s: after which time the sink answers.
        lead_s: how long before the instant the daemons are started.
    """
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as root, ExitStack() as stack:
        folder = Folder(path=Path(root) / "config")
        folder.write_config([f"{sink.url}/hook"])
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=lead_s + nodes)
        folder.write_due(count, due)
        sink.reset(delay_s)
        database = (
            stack.enter_context(postgres.make_database()) if postgres else f"sqlite:///{root}/ledger.sqlite3"
        )
        daemons = []
        for number in range(nodes):
            daemons.append(
                stack.enter_context(start_daemon(folder.path, database, Path(root) / f"log{number}"))
            )
            daemons[-1].wait_for(READY)
        for daemon in daemons:
            daemon.wait_until_quiet()
        if datetime.now(UTC) < due - timedelta(seconds=0.2):
            time.sleep((due - datetime.now(UTC)).total_seconds() - 0.1)
            before = sum(daemon.read_cpu_s() for daemon in daemons)
            wait_until(lambda: datetime.now(UTC) >= due, "the instant", 10.0)
            report = sink.wait_for(count, limit_s=60.0 + count / 20)
            for daemon in daemons:
                wait_until_quiet(daemon.pid, 60.0)
            cpu_s = sum(daemon.read_cpu_s() for daemon in daemons) - before
            if sink.report().count != count:
                say(f"{sink.report().count - count} requests more than reminders")
            return Burst(rate=count / (report.last - due.timestamp()), cpu_s=cpu_s, report=report)
    if lead_s >= LONGEST_LEAD_S:
        raise RuntimeError(f"the daemons do not start within {lead_s:g} s")
    # A slow machine needs more time to start the daemon before the reminders are due.
    return send_burst(sink, postgres, count, nodes=nodes, delay_s=delay_s, lead_s=lead_s * 2)


def measure_deliveries(sizes: Sizes) -> Iterator[Figure]:
    """The rate and the cost of durable deliveries, against the client alone and against peers."""
    with start_sink() as sink, start_postgres() as postgres, ExitStack() as stack:
        bursts: dict[str, list[Burst]] = {"SQLite": [], "PostgreSQL": []}
        bodies = [1_000]

        def deliver(name: str, server: Postgres | None) -> float:
            burst = send_burst(sink, server, sizes.due)
            bursts[name].append(burst)
            bodies[0] = burst.report.bytes // burst.report.count
            return burst.rate

        cases: dict[str, Callable[[], float]] = {"SQLite": lambda: deliver("SQLite", None)}
        cases["client"] = lambda: post_bare(sink, sizes.due, bodies[0])
        if postgres:
            cases["PostgreSQL"] = lambda: deliver("PostgreSQL", postgres)
        notes = {"" if postgres else "PostgreSQL": MISSING}
        for peer in (alertmanager, procrastinate):
            found = _try_peer(stack.enter_context(peer.prepare(sink, postgres)))
            if isinstance(found, str):
                notes[peer.NAME] = found
                say(f"{peer.NAME}: {found}")
            else:
                cases[peer.NAME] = lambda send=found: send(sizes.due)  # type: ignore[misc]
        rates = take_turns(sizes.rounds, cases)
    for name in ("SQLite", "PostgreSQL"):
        yield from _compare(name, rates, bursts[name], notes)
    for peer in (alertmanager, procrastinate):
        yield _compare_peer(peer.NAME, peer.DESCRIPTION, rates, notes)


def _try_peer(found: Callable[[int], float] | str) -> Callable[[int], float] | str:
    """Return why the peer cannot be used, if it does not manage a few webhooks."""
    if isinstance(found, str):
        return found
    try:
        found(20)
    except (PeerFailed, Stuck, OSError, subprocess.SubprocessError) as error:
        return f"it cannot be run: {error}"
    return found


def _compare(
    name: str, rates: Mapping[str, list[float]], bursts: list[Burst], notes: Mapping[str, str]
) -> Iterator[Figure]:
    key, where = name.lower(), f"durable deliveries on {name}"
    if not bursts:
        yield Figure(
            name=f"{key}-ratio", label=f"{where} / client alone", value=None, least=0.5, note=notes[name]
        )
        return
    sent = sum(burst.report.count for burst in bursts)
    middle, client = statistics.median(rates[name]), statistics.median(rates["client"])
    connections = max(burst.report.connections for burst in bursts)
    yield Figure(
        name=f"{key}-ratio",
        label=f"{where} / client alone",
        value=divide(rates[name], rates["client"]),
        least=0.5,
        note=f"{middle:,.0f}/s against {client:,.0f}/s of httpx on aiohttp with {IN_FLIGHT} in flight, "
        f"{len(bursts)} rounds of {bursts[0].report.count:,}; {connections} connections",
    )
    yield Figure(name=f"{key}-rate", label=where, value=middle, unit="/s")
    yield Figure(
        name=f"{key}-cpu",
        label=f"CPU of each delivery on {name}",
        value=sum(burst.cpu_s for burst in bursts) / sent * 1000,
        unit="ms",
        most=0.6,
        note="user and system time of the daemon, with deciding, binding and logging",
    )


def _compare_peer(
    name: str, description: str, rates: Mapping[str, list[float]], notes: Mapping[str, str]
) -> Figure:
    key = f"peer-{name.lower()}"
    label = f"durable deliveries on SQLite / {name}"
    if name not in rates:
        return Figure(name=key, label=label, value=None, note=notes[name])
    note = f"{statistics.median(rates[name]):,.0f}/s: {description}"
    return Figure(name=key, label=label, value=divide(rates["SQLite"], rates[name]), note=note)


def post_bare(sink: Sink, count: int, size: int) -> float:
    """Return the requests per second of the client alone."""
    sink.reset()
    run_measured(python("-m", "bench.kit.client", f"{sink.url}/bare", str(count), str(size)))
    report = sink.wait_for(count + 1)
    times = report.times["/bare"]
    return (count - 1) / (times[-1] - times[0])


def measure_nodes(sizes: Sizes) -> Iterator[Figure]:
    """Two nodes on one PostgreSQL against one node, at a sink that answers after 20 ms."""
    label = f"two nodes / one node, at a sink that answers after {SLOW_SINK_S * 1000:.0f} ms"
    with start_sink() as sink, start_postgres() as postgres:
        if postgres is None:
            yield Figure(name="two-nodes", label=label, value=None, least=1.6, note=MISSING)
            return

        def deliver(nodes: int) -> float:
            return send_burst(sink, postgres, sizes.due * 2 // 5, nodes=nodes, delay_s=SLOW_SINK_S).rate

        rates = take_turns(sizes.rounds, {"one node": lambda: deliver(1), "two nodes": lambda: deliver(2)})
    yield Figure(
        name="two-nodes",
        label=label,
        value=divide(rates["two nodes"], rates["one node"]),
        least=1.6,
        note=" against ".join(
            f"{statistics.median(rates[name]):,.0f}/s" for name in ("two nodes", "one node")
        ),
    )
