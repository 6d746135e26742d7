"""Test what PostgreSQL adds to the contract: concurrent nodes, its own clock, and broken connections."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from alertd.core.ledger.records import DeliveryState
from alertd.core.message.reasons import describe_reason
from alertd.core.milestones.status import ActionKind
from alertd.core.reason import Answered, PlainReason, SnoozedBy
from alertd.errors import (
    LeadLost,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    SchemaTooNew,
    SchemaTooOld,
    SettingsError,
)
from alertd.ports import Changes
from alertd.store import migrate, open_ledger
from alertd.store.database.base import Database
from alertd.store.database.dialect import WRITERS
from alertd.store.database.opening import open_database
from alertd.store.database.upgrade import HEAD, make_alembic_config
from alertd.store.sql import SqlLedger
from tests.contract.samples import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    a_delivery,
    a_record,
    an_action,
    an_entry,
    an_owed,
    fill,
    sent,
    take,
)
from tests.postgres import Server, free_port, server, standby_of

pytestmark = pytest.mark.server

SOON_S = 10
"""Every wait of these tests ends by then; none is meant to last."""


@pytest.fixture
async def url(postgres: Server) -> AsyncIterator[str]:
    with postgres.database() as made:
        yield made


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[SqlLedger]:
    async with a_ledger(url) as made:
        yield made


@asynccontextmanager
async def a_ledger(url: str) -> AsyncIterator[SqlLedger]:
    made = await open_ledger(url)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def a_database(url: str) -> AsyncIterator[Database]:
    made = await open_database(url, SOON_S)
    try:
        yield made
    finally:
        await made.close()


async def until_it_works(call: Callable[[], Any]) -> Any:
    """Call until the ledger is available again, and return the result."""
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                return await call()
            except LedgerUnavailable:
                await asyncio.to_thread(threading.Event().wait, 0.02)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(SOON_S):
        while not true():
            await asyncio.to_thread(threading.Event().wait, 0.01)


# -- many nodes


async def test_time_is_the_servers(ledger: SqlLedger, postgres: Server) -> None:
    """The ledger's time is the clock of the server."""
    before = postgres.execute("select now()")[0][0]
    told = await ledger.read_time()
    after = postgres.execute("select now()")[0][0]

    assert told is not None
    assert before <= told <= after


async def test_nodes_share_out_what_is_ready(url: str, ledger: SqlLedger) -> None:
    """Concurrent nodes lease every delivery exactly once."""
    keys = [f"k{number}" for number in range(300)]
    await fill(ledger, *map(an_owed, keys), deliveries=[a_delivery(key) for key in keys])
    nodes = [await open_ledger(url) for _ in range(4)]

    async def work(node: SqlLedger, name: str) -> list[str]:
        done: list[str] = []
        while (await node.count_rows())["deliveries.ready"]:
            # Rows that other transactions have locked are not found. Those transactions lease them.
            leases = await take(node, owner=name, limit=7)
            assert not await node.settle([sent(lease) for lease in leases])
            done += [lease.delivery.id for lease in leases]
        return done

    taken = await asyncio.gather(*(work(node, f"node-{number}") for number, node in enumerate(nodes)))

    assert sorted(one for done in taken for one in done) == sorted(a_delivery(key).id for key in keys)
    assert (await ledger.count_rows())["deliveries.sent"] == 300
    assert all(taken), "one node took everything"
    for node in nodes:
        await node.close()


async def test_lease_passes_over_what_others_have_locked(url: str, ledger: SqlLedger) -> None:
    """Leasing skips rows that another transaction has locked, without waiting."""
    keys = [f"k{number}" for number in range(6)]
    made = [a_delivery(key, next_at=NOW - number * MINUTE) for number, key in enumerate(keys)]
    await fill(ledger, *map(an_owed, keys), deliveries=made)

    with psycopg.connect(url) as other:
        oldest = "select id from delivery order by next_at limit 3 for no key update"
        locked = {row[0] for row in other.execute(oldest).fetchall()}
        async with asyncio.timeout(SOON_S):
            leases = await take(ledger, limit=2, per_channel=2)
        other.rollback()

    assert {lease.delivery.id for lease in leases} == {made[1].id, made[2].id}
    assert locked == {one.id for one in made[3:]}


async def test_leases_end_by_the_clock_of_the_database(ledger: SqlLedger) -> None:
    """Leases end by the database's clock, whatever the clocks of the nodes are."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    await take(ledger, owner="node-1")

    assert await take(ledger, owner="node-2", now=NOW + DAY) == []
    wake_at = await ledger.find_next_wake(NOW + DAY)

    assert wake_at is not None
    assert timedelta() <= NOW + DAY + 5 * MINUTE - wake_at < MINUTE


async def test_lease_that_has_ended_is_taken_by_any_clock(ledger: SqlLedger) -> None:
    """A lease that has ended by the database's clock is free, even for a node whose clock is behind."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (first,) = await take(ledger, now=NOW + DAY, duration=timedelta())

    (second,) = await take(ledger, owner="node-2")

    assert (second.owner, second.fence) == ("node-2", 2)
    assert await ledger.settle([sent(first)]) == {first.delivery.id}
    assert await ledger.settle([sent(second)]) == frozenset()


async def test_lead_ends_by_the_clock_of_the_database(ledger: SqlLedger) -> None:
    """Leadership ends by the database's clock, and its term is then no longer valid."""
    assert await ledger.take_lead("a", NOW, duration=MINUTE) == 1
    assert await ledger.take_lead("b", NOW + DAY, duration=MINUTE) is None
    assert await ledger.take_lead("a", NOW, duration=timedelta()) == 1

    assert await ledger.take_lead("b", NOW - DAY, duration=MINUTE) == 2

    with pytest.raises(LeadLost, match="b leads now"):
        await ledger.apply(Changes(records=(a_record(),)), term=1)


async def test_lead_is_not_taken_in_the_midst_of_a_write(url: str, ledger: SqlLedger) -> None:
    """No node takes over while the leader's transaction is running."""
    await ledger.take_lead("a", NOW, duration=timedelta())
    with psycopg.connect(url) as writer:
        writer.execute("select term from lead for share")
        takeover = asyncio.create_task(ledger.take_lead("b", NOW, duration=MINUTE))
        await until(lambda: waiting(url))
        early = takeover.done()
        writer.commit()

    assert await takeover == 2
    assert not early


def waiting(url: str) -> bool:
    """Return whether any connection waits for a lock."""
    with psycopg.connect(url) as look:
        query = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
        return bool(look.execute(query).fetchall())


async def test_reloads_and_actions_at_once(url: str, ledger: SqlLedger) -> None:
    """Concurrent reloads and actions all succeed and lose no data."""
    keys = [f"k{number}" for number in range(40)]
    await fill(ledger, *map(an_owed, keys))
    nodes = [await open_ledger(url) for _ in range(3)]

    async def reload(node: SqlLedger, order: list[str]) -> None:
        for number in range(15):
            owed = tuple(an_owed(key, at=NOW + number * MINUTE) for key in order)
            await node.apply(Changes(owed=owed, cancelled=((order[0], PlainReason.NOT_OWED),)))

    await asyncio.gather(
        reload(nodes[0], keys),
        reload(nodes[1], keys[::-1]),
        *(node.act(*a_snooze(number)) for number, node in enumerate(nodes)),
    )

    assert len(await ledger.read_owed("iraq/phase-2")) == 40
    for node in nodes:
        await node.close()


def a_snooze(number: int) -> tuple[Any, Any]:
    return an_action(ActionKind.SNOOZE, at=NOW + number * HOUR, until=NOW + 2 * DAY), (an_owed("k7"),)


async def test_deadlock_is_tried_again(url: str, ledger: SqlLedger) -> None:
    """Both transactions of a deadlock succeed, because the ledger retries them."""
    await fill(ledger, an_owed("k1"), an_owed("k2"))
    both_hold_one = threading.Barrier(2)

    def crossing(first: str, second: str) -> Callable[[Connection], int]:
        tries = 0

        def work(connection: Connection) -> int:
            nonlocal tries
            tries += 1
            connection.exec_driver_sql(f"update owed set reason = reason || 'x' where key = '{first}'")
            if tries == 1:
                both_hold_one.wait(SOON_S)
            connection.exec_driver_sql(f"update owed set reason = reason || 'x' where key = '{second}'")
            return tries

        return work

    async with a_database(url) as database:
        tries = await asyncio.gather(
            database.write(crossing("k1", "k2")), database.write(crossing("k2", "k1"))
        )

    # The server may abort both transactions.
    assert max(tries) > 1
    assert [describe_reason(one.reason) for one in await ledger.read_owed("iraq/phase-2")] == ["xx", "xx"]


async def test_node_hears_what_others_write(url: str, ledger: SqlLedger) -> None:
    """A node is notified of the writes of others at once, and not of its own."""
    heard = asyncio.Event()
    async with a_ledger(url) as node, asyncio.timeout(SOON_S):
        node.listen(heard.set)
        await heard.wait()  # the connection listens now
        heard.clear()
        await node.apply(Changes(records=(a_record("iraq/phase-1"),)))
        await fill(ledger)
        await heard.wait()


async def test_version_changes_when_another_writes(url: str, ledger: SqlLedger) -> None:
    """The version changes when another process writes, so that lost notifications do no harm."""
    async with a_ledger(url) as node:
        before = await node.read_version()
        await ledger.apply(Changes(records=(a_record(),)))

        assert await node.read_version() != before


# -- the schema


async def test_nothing_is_migrated_unasked(postgres: Server) -> None:
    """A shared database is not migrated by default, and the error names the command."""
    with postgres.empty_database() as url:
        with pytest.raises(SchemaTooOld, match=r"has no tables yet.*alertd migrate"):
            await open_ledger(url)

        assert (await migrate(url))[1:3] == ("", HEAD)
        async with a_ledger(url) as made:
            assert await made.read_records() == []


async def test_many_migrate_at_once(postgres: Server) -> None:
    """When several processes migrate at once, one does it and the others wait."""
    with postgres.empty_database() as url:
        done = await asyncio.gather(*(migrate(url) for _ in range(4)))

        assert {upgrade.after for upgrade in done} == {HEAD}


async def test_migration_waits_for_writers_and_they_for_it(postgres: Server) -> None:
    """A migration waits for running writers, and readers do not wait in the meantime."""
    with postgres.empty_database() as url:
        await upgrade_to(url, "0001")
        with psycopg.connect(url) as writer, psycopg.connect(url) as reader:
            writer.execute("select pg_advisory_xact_lock_shared(%s)", [WRITERS])
            migration = asyncio.create_task(migrate(url))
            await until(lambda: waiting(url))
            reader.execute("select count(*) from delivery")
            early = migration.done()
            writer.commit()
            reader.commit()

        assert (await migration)[1:3] == ("0001", HEAD)
        assert not early


async def test_migration_keeps_what_is_there(postgres: Server) -> None:
    """Data of an older schema can be read after the migration."""
    with postgres.empty_database() as url:
        await upgrade_to(url, "0001")
        with psycopg.connect(url) as older:
            older.execute(
                "insert into node (node, version, started_at, seen_at, problems, receivers) "
                "values ('a', '0.1', 0, 0, '[]', '[]')"
            )
        await migrate(url)

        async with a_ledger(url) as made:
            assert [(one.node, one.stopped) for one in await made.read_nodes()] == [("a", False)]


async def upgrade_to(url: str, revision: str) -> None:
    from alembic import command

    async with a_database(url) as database:
        await database.write(lambda connection: command.upgrade(make_alembic_config(connection), revision))


async def test_older_alertd_stops_writing_when_a_newer_has_migrated(url: str, ledger: SqlLedger) -> None:
    """A write is rejected as a whole after a newer version has migrated the schema."""
    await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
    (lease,) = await take(ledger)
    with psycopg.connect(url) as newer:
        newer.execute("update alembic_version set version_num = '9999'")

    for write in (
        ledger.apply(Changes(history=(an_entry(),))),
        ledger.settle([sent(lease)]),
        ledger.act(an_action(ActionKind.CANCEL), ()),
        ledger.take_lead("a", NOW, duration=MINUTE),
        ledger.retire("a"),
    ):
        with pytest.raises(SchemaTooNew, match=r"'9999'.*newer"):
            await write

    assert await ledger.read_history() == []
    assert [one.state for one, _, _ in await ledger.find_deliveries()] == [DeliveryState.READY]
    with psycopg.connect(url) as newer:
        newer.execute("update alembic_version set version_num = %s", [HEAD])


async def test_hot_tables_are_vacuumed_often(url: str) -> None:
    """Tables that change often have autovacuum settings that remove dead rows soon."""
    query = "select array_to_string(reloptions, ' ') from pg_class where relname in ('owed', 'delivery')"
    with psycopg.connect(url) as look:
        found = look.execute(query).fetchall()

    assert len(found) == 2
    assert all("autovacuum_vacuum_scale_factor=0.01" in options for (options,) in found)


# -- connections


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("synchronous_commit", "on"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("statement_timeout", "30s"),
        ("application_name", "alertd"),
        ("client_encoding", "UTF8"),
    ],
)
async def test_connection_is_set_up_for_durability_and_bounded_waits(url: str, name: str, value: str) -> None:
    """Each connection has the required settings, even though the test server's defaults lose commits."""
    async with a_database(url) as database:
        found = await database.read(lambda connection: connection.exec_driver_sql(f"show {name}").scalar())

    assert found == value


async def test_connection_that_is_ended_amidst_a_call_is_made_again(postgres: Server, url: str) -> None:
    """A call whose connection is terminated fails and writes nothing; the next call works."""
    async with a_database(url) as database:
        asleep = asyncio.create_task(database.write(asleep_after_writing))
        await until(lambda: sleeping(url))
        postgres.hang_up(url.rpartition("/")[2])

        with pytest.raises(LedgerUnavailable, match=r"postgresql://127\.0\.0\.1:\d+/t\d+: "):
            await asleep
        assert await database.read(history) == 0


async def test_idle_connections_that_are_ended_are_made_again(
    postgres: Server, ledger: SqlLedger, url: str
) -> None:
    """At most one call fails after all idle connections have been terminated."""
    await asyncio.gather(*(ledger.read_records() for _ in range(8)))
    postgres.hang_up(url.rpartition("/")[2])

    await until_it_works(lambda: ledger.apply(Changes(history=(an_entry(),))))

    assert len(await asyncio.gather(*(ledger.read_history() for _ in range(8)))) == 8


async def test_server_that_does_not_answer_is_given_up(url: str) -> None:
    """A call without an answer fails after the time limit, and the next call works."""
    async with a_database(url) as database:
        database.limit_s = 0.3

        with pytest.raises(LedgerUnavailable, match=r"has not answered for 0\.3 s"):
            await database.read(lambda connection: connection.exec_driver_sql("select pg_sleep(60)"))

        database.limit_s = SOON_S
        assert await until_it_works(lambda: database.read(history)) == 0


def asleep_after_writing(connection: Connection) -> None:
    connection.exec_driver_sql("insert into history (entry, at) values ('x', 0)")
    connection.exec_driver_sql("select pg_sleep(60)")


def history(connection: Connection) -> Any:
    return connection.exec_driver_sql("select count(*) from history").scalar()


def sleeping(url: str) -> bool:
    with psycopg.connect(url) as look:
        query = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        return bool(look.execute(query).fetchall())


async def test_server_that_takes_no_writes_is_left(postgres: Server, ledger: SqlLedger, url: str) -> None:
    """After a write to a server that has become a standby, the connections are replaced."""
    name = url.rpartition("/")[2]
    await ledger.read_records()
    postgres.execute(f"alter database {name} set default_transaction_read_only = on")
    postgres.hang_up(name)
    with pytest.raises(LedgerUnavailable):
        await ledger.read_records()
    with pytest.raises(LedgerUnavailable, match="target_session_attrs=read-write"):
        await ledger.apply(Changes(history=(an_entry(),)))

    postgres.execute(f"alter database {name} reset default_transaction_read_only")

    await ledger.apply(Changes(history=(an_entry(),)))


async def test_all_hosts_of_a_url_are_tried(postgres: Server, url: str) -> None:
    """The next host in the URL is tried if the first does not answer."""
    name = url.rpartition("/")[2]
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{postgres.port}"
    async with a_ledger(f"postgresql://tester@{hosts}/{name}?target_session_attrs=read-write") as made:
        assert await made.read_records() == []


async def test_server_that_is_not_there_is_unavailable() -> None:
    """The error names the server without a password."""
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(LedgerUnavailable, match=f"postgresql://{address}/alertd: ") as caught:
        await open_ledger(f"postgresql://tester:hunter2@{address}/alertd")

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


async def test_database_that_is_not_there_is_unavailable(postgres: Server) -> None:
    """The error names the missing database."""
    with pytest.raises(LedgerUnavailable, match='database "nosuch" does not exist'):
        await open_ledger(postgres.url("nosuch"))


async def test_error_does_not_hold_what_was_written(ledger: SqlLedger) -> None:
    """Errors leave out PostgreSQL's details, which quote rows."""
    with pytest.raises(LedgerError, match="refuses a row") as caught:
        await ledger.apply(Changes(owed=(an_owed(milestone="no/hunter2", reason=SnoozedBy(by="hunter2")),)))

    assert "hunter2" not in str(caught.value)


async def test_text_with_nul_is_refused_for_its_content(ledger: SqlLedger) -> None:
    """PostgreSQL holds no NUL. The error says that a retry would not help, and other rows are written."""
    await fill(ledger, an_owed("k1"), an_owed("k2"), deliveries=[a_delivery("k1"), a_delivery("k2")])
    bad, good = await take(ledger)
    nul = replace(sent(bad), reason=Answered(text="a\0b"))

    with pytest.raises(LedgerRefused, match="refuses a row"):
        await ledger.settle([nul, sent(good)])

    assert not await ledger.settle([sent(good)])


async def test_url_that_libpq_does_not_know_is_a_wrong_setting(url: str) -> None:
    """An unknown option in the URL raises SettingsError before any connection is tried."""
    with pytest.raises(SettingsError, match="libpq"):
        await open_ledger(url + "?no=such")


# -- a server of its own


async def test_restart_of_the_server_is_survived() -> None:
    """Calls fail while the server is down. After a crash, committed data is there and calls work again."""
    with server(settings=()) as made:
        url = made.url()
        await migrate(url)
        async with a_ledger(url) as ledger:
            await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
            (lease,) = await take(ledger)

            made.stop("immediate")
            for _ in range(2):
                with pytest.raises(LedgerUnavailable):
                    await ledger.settle([sent(lease)])
            made.start()

            assert await until_it_works(lambda: ledger.settle([sent(lease)])) == frozenset()
            assert (await ledger.count_rows())["deliveries.sent"] == 1


async def test_failover_is_survived() -> None:
    """After a failover, the same ledger continues on the promoted standby with all committed data."""
    with server(settings=()) as primary, standby_of(primary) as standby:
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        url = f"postgresql://tester@{hosts}/postgres?target_session_attrs=read-write"
        await migrate(url)
        async with a_ledger(url) as ledger:
            await fill(ledger, an_owed("k1"), deliveries=[a_delivery("k1")])
            (lease,) = await take(ledger)

            primary.stop("immediate")
            standby.run("pg_ctl", "promote", "-w")

            assert await until_it_works(lambda: ledger.settle([sent(lease)])) == frozenset()
            assert await ledger.read_records() == [a_record()]
