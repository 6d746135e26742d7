"""Two real daemons on one real PostgreSQL: they share the work, take over, and outlive the server."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.stage import Process, Stage, a_stage, in_a_minute
from tests.postgres import Server, make_template, server

pytestmark = pytest.mark.long

YEARS_AHEAD = "2099-09-30T12:00"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with server(settings=()) as made:
        make_template(made)
        yield made


@pytest.fixture
async def stage(tmp_path: Path, postgres: Server) -> AsyncIterator[Stage]:
    with postgres.database() as url:
        async with a_stage(tmp_path) as made:
            made.database = url
            yield made


def ids(stage: Stage) -> list[str]:
    return [one.headers["webhook-id"] for one in stage.requests]


async def test_each_reminder_is_sent_once_by_two_nodes(stage: Stage) -> None:
    """Whoever takes it, what is due is sent once; the sink's receipts are the ledger's records."""
    deadline = in_a_minute(4)
    stage.write_config()
    stage.write_timeline(**{f"m{number}": deadline for number in range(40)})
    first, second = await stage.start(), await stage.start()

    await stage.until(lambda: len(stage.requests) >= 40)
    assert [await first.stop(), await second.stop()] == [0, 0]

    assert len(ids(stage)) == len(set(ids(stage))) == 40
    with psycopg.connect(stage.database) as ledger:
        sent = ledger.execute("select id from delivery where state = 'sent'").fetchall()
    assert {one for (one,) in sent} == set(ids(stage))


async def test_another_node_takes_over_from_a_killed_leader(stage: Stage) -> None:
    """One reconciles; when it is killed the other does, by what the files say by then."""
    stage.write_config()
    stage.write_timeline(m=YEARS_AHEAD)
    leader = await stage.start()
    await leader.until("lead.taken")
    follower = await stage.start()
    assert follower.count("lead.taken") == 0

    await leader.kill()
    stage.write_timeline(m=in_a_minute(8))
    await follower.until("lead.taken")

    await stage.until(lambda: len(stage.requests) == 1)
    assert await follower.stop() == 0


async def test_command_is_heard_by_the_nodes_at_once(stage: Stage) -> None:
    """What a person says by a command on another machine counts within a second."""
    stage.write_config()
    stage.write_timeline(m=in_a_minute(0))
    daemon = await stage.start()
    await stage.until(lambda: len(stage.requests) == 1)

    await stage.command("done", "t/m")

    await stage.until(lambda: len(stage.requests) == 2)
    assert await daemon.stop() == 0


async def test_nodes_outlive_the_server(stage: Stage, postgres: Server) -> None:
    """While the server is down nothing is lost and nobody ends; afterwards all goes on by itself."""
    stage.write_config()
    nodes = [await stage.start(), await stage.start()]
    # The reminder falls due while the server is down, however long the nodes took to start.
    stage.write_timeline(m=in_a_minute(5))
    for node in nodes:
        node.signal(signal.SIGHUP)
        await node.until("config.loaded", 2)

    postgres.stop("immediate")
    for node in nodes:
        await node.until("ledger.failed")
    postgres.start()

    await stage.until(lambda: len(stage.requests) >= 1)
    for node in nodes:
        await node.until("ledger.recovered")
    assert [await node.stop() for node in nodes] == [0, 0]
    assert len(stage.requests) == 1


async def test_older_node_ends_when_a_newer_has_migrated(stage: Stage, postgres: Server) -> None:
    """It stops writing, says why, and ends with 78, so that it is not started again; nor does it start."""
    stage.write_config()
    stage.write_timeline(m=YEARS_AHEAD)
    node = await stage.start()

    with psycopg.connect(stage.database) as newer:
        (ours,) = newer.execute("select version_num from alembic_version").fetchall()[0]
        newer.execute("update alembic_version set version_num = '9999'")
    ended = await node.ended()
    again = await stage.spawn()
    refused = await again.ended()
    with psycopg.connect(stage.database) as newer:
        newer.execute("update alembic_version set version_num = %s", [ours])

    assert (ended, refused) == (78, 78)
    for one in (node, again):
        assert "9999" in (await one.until("ledger.upgraded"))["reason"]


async def test_stalled_leader_does_not_undo_what_the_next_one_wrote(stage: Stage) -> None:
    """A leader that was stopped past its time finds another one, and follows it."""
    stage.write_config()
    stage.write_timeline(m=YEARS_AHEAD)
    stalled = await stage.start()
    other = await stage.start()

    stalled.signal(signal.SIGSTOP)
    await other.until("lead.taken")
    stalled.signal(signal.SIGCONT)

    await stalled.until("lead.lost")
    assert [await stalled.stop(), await other.stop()] == [0, 0]


async def test_status_says_that_nodes_differ(stage: Stage, tmp_path: Path) -> None:
    """Nodes that run different files are named, and the status is not well."""
    stage.write_config()
    stage.write_timeline(m=YEARS_AHEAD)
    nodes: list[Process] = [await stage.start()]
    ours = stage.config
    stage.config = tmp_path / "other"
    (stage.config / "milestones").mkdir(parents=True)
    stage.write_config()
    stage.write_timeline(m="2098-09-30T12:00")
    nodes.append(await stage.start())
    stage.config = ours

    said = await stage.command("status", status=1)

    assert "daemons run different definitions" in " ".join(said.split())
    assert [await node.stop() for node in nodes] == [0, 0]
