"""Every scenario: its name, what is done in it, how much of it, and what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.torture import postgres
from tests.torture.arena import Arena, Size
from tests.torture.scenarios import clocks, damage, databases, kills, ledger_files, monitoring, receivers


def nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One.

    Attributes:
        done: what was done, for the table.
        size: of a whole run; rounds and milestones grow with ``ROUNDS``.
        smoke: of the short run in the tests.
        missing: why it cannot run here; "" when it can.
    """

    name: str
    done: str
    run: Callable[[Arena, Size], Awaitable[None]]
    size: Size
    smoke: Size
    missing: Callable[[], str] = nothing


def _receiver(name: str, done: str, run: Callable[[Arena, Size], Awaitable[None]]) -> Scenario:
    return Scenario(
        name=name,
        done=done,
        run=run,
        size=Size(rounds=1, milestones=100),
        # Few enough that no breaker opens, which would pause for 30 s.
        smoke=Size(rounds=1, milestones=4, fails_s=1.0),
    )


SCENARIOS = (
    Scenario(
        name="kill-sqlite",
        done="`kill -9` at random moments in a loop; one node, SQLite",
        run=kills.kill_sqlite,
        size=Size(rounds=50, milestones=600),
        smoke=Size(rounds=2, milestones=30),
    ),
    Scenario(
        name="kill-postgres",
        done="the same; two nodes, PostgreSQL, either of them or both at once",
        run=kills.kill_postgres,
        size=Size(rounds=50, milestones=600),
        smoke=Size(rounds=2, milestones=30),
        missing=postgres.missing,
    ),
    Scenario(
        name="stall",
        done="SIGSTOP in the middle of a send, until past the lease, then SIGCONT; two nodes, PostgreSQL",
        run=kills.stall,
        size=Size(rounds=6, milestones=150),
        smoke=Size(rounds=1, milestones=24),
        missing=postgres.missing,
    ),
    Scenario(
        name="stopped",
        done="SIGSTOP while a receiver has yet to answer, until it is too late for it, then SIGCONT; SQLite",
        run=kills.stopped,
        size=Size(rounds=4, milestones=80),
        smoke=Size(rounds=1, milestones=12),
    ),
    Scenario(
        name="postgres-killed",
        done="PostgreSQL killed (-9) and started again; two nodes",
        run=databases.postgres_killed,
        size=Size(rounds=8, milestones=500),
        smoke=Size(rounds=1, milestones=24),
        missing=postgres.missing,
    ),
    Scenario(
        name="failover-async",
        done="the primary killed (-9), its streaming standby promoted, asynchronous; two nodes",
        run=databases.failover_async,
        size=Size(rounds=4, milestones=400),
        smoke=Size(rounds=1, milestones=24),
        missing=postgres.missing,
    ),
    Scenario(
        name="failover-sync",
        done="the same with `synchronous_standby_names`",
        run=databases.failover_sync,
        size=Size(rounds=4, milestones=400),
        smoke=Size(rounds=1, milestones=24),
        missing=postgres.missing,
    ),
    Scenario(
        name="disk-full",
        done="the disk of the ledger full, at every other time with a `kill -9`; SQLite on a small tmpfs",
        run=databases.disk_full,
        size=Size(rounds=4, milestones=400),
        smoke=Size(rounds=1, milestones=24),
        missing=databases.cannot_mount,
    ),
    Scenario(
        name="disk-full-seen",
        done="the disk of the ledger full until readiness, metrics, systemd, the dead man's switch and "
        "`alertd status` say so, within a minute; at every other time a `kill -9`; SQLite on a small tmpfs",
        run=monitoring.disk_full_seen,
        size=Size(rounds=2, milestones=200),
        smoke=Size(rounds=1, milestones=24),
        missing=databases.cannot_mount,
    ),
    Scenario(
        name="disk-quota",
        done="every write refused by the kernel for a while (RLIMIT_FSIZE); SQLite",
        run=databases.disk_quota,
        size=Size(rounds=4, milestones=400),
        smoke=Size(rounds=1, milestones=24),
    ),
    Scenario(
        name="read-only",
        done="the database file and its folder made read-only, `kill -9`, then writable again; SQLite",
        run=databases.read_only,
        size=Size(rounds=4, milestones=400),
        smoke=Size(rounds=1, milestones=24),
    ),
    Scenario(
        name="newer-version",
        done="commands of a newer version under a daemon, then `alertd migrate` and the newer daemon; SQLite",
        run=ledger_files.newer_version,
        size=Size(rounds=1, milestones=200),
        smoke=Size(rounds=1, milestones=24),
    ),
    Scenario(
        name="ledger-deleted",
        done="the ledger's file, its folder or its log deleted or moved away under the daemon; SQLite",
        run=ledger_files.deleted,
        size=Size(rounds=6, milestones=400),
        smoke=Size(rounds=1, milestones=24),
    ),
    Scenario(
        name="ledger-replaced",
        done="an older copy moved to the ledger's place, or copied over it, under the daemon; SQLite",
        run=ledger_files.replaced,
        size=Size(rounds=4, milestones=200),
        smoke=Size(rounds=1, milestones=24),
    ),
    Scenario(
        name="ledger-damaged",
        done="a page of the ledger overwritten under the daemon; SQLite",
        run=ledger_files.damaged,
        size=Size(rounds=1, milestones=200),
        smoke=Size(rounds=1, milestones=24),
    ),
    Scenario(
        name="unreadable-rows",
        done="rows of the ledger damaged with SQL, and some of them mended with SQL; SQLite",
        run=damage.unreadable_rows,
        size=Size(rounds=3, milestones=240),
        smoke=Size(rounds=1, milestones=24),
    ),
    _receiver("sink-hangs", "a receiver reads the request and never answers", receivers.hangs),
    _receiver(
        "sink-resets", "a receiver resets the connection, before and within its answer", receivers.resets
    ),
    _receiver("sink-drips", "a receiver answers a byte at a time: its head, then its body", receivers.drips),
    _receiver("sink-redirects", "a receiver redirects; there is a fallback", receivers.redirects),
    _receiver("sink-huge", "a receiver answers with 10 MB: a 503, then a 200", receivers.huge),
    _receiver(
        "sink-malformed",
        "a receiver accepts with a reason phrase in Latin-1, with 300 headers, with a header of 9,000 bytes",
        receivers.malformed,
    ),
    _receiver("mail-greylists", "a mail server says 451, and accepts later", receivers.greylists),
    _receiver("mail-refuses", "a mail server says 550; there is a fallback", receivers.refuses),
    _receiver("mail-drops", "a mail server drops the connection after DATA", receivers.drops),
    _receiver(
        "dns", "a name fails for now, does not exist, is not answered for; then it resolves", receivers.dns
    ),
    Scenario(
        name="clock",
        done="the wall clock half an hour forward, ten minutes back, and a year ahead for a moment; SQLite",
        run=clocks.jumps,
        size=Size(rounds=4, milestones=300),
        smoke=Size(rounds=1, milestones=24),
        missing=clocks.missing,
    ),
    Scenario(
        name="clocks-apart",
        done="the wall clock of one of two nodes half an hour ahead; PostgreSQL",
        run=clocks.apart,
        size=Size(rounds=4, milestones=300),
        smoke=Size(rounds=1, milestones=24),
        missing=clocks.missing_both,
    ),
)


ALL_RECEIVERS = Scenario(
    name="receivers",
    done="all receivers that misbehave, at the same time; one node",
    run=receivers.together,
    size=Size(rounds=1, milestones=4),
    # Few enough that no breaker opens, which would pause for 30 s.
    smoke=Size(rounds=1, milestones=2, fails_s=1.0),
)
"""Stands for all scenarios of one receiver in the short run; it is no row of the table."""


def named(name: str) -> Scenario:
    for one in (*SCENARIOS, ALL_RECEIVERS):
        if one.name == name:
            return one
    raise SystemExit(f"no scenario {name!r}; there are: {', '.join(one.name for one in SCENARIOS)}")
