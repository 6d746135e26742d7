"""Any one column of any one row of the ledger damaged: every other reminder still goes out."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from tests.conftest import EXAMPLES
from tests.engine.damage import ZONE_GONE, Run, Told, copy, damage, find_touched, list_places, make_template

VALUES = (
    *(None, "", "garbage", "{", "[]", "{}", "null", "1", '"x"', "[1]", '{"a": 1}', "Nowhere/Gone"),
    *(0, 7, -1, 1.5, 2**62, 2**63 - 1, -(2**62), b"\x00\x01", b"\xff\xfe", ZONE_GONE),
)
"""Every kind of value that SQLite keeps, in a column of any type."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "ledger.sqlite3"
    asyncio.run(make_template(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    return path


@pytest.fixture(scope="module")
def undamaged(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("undamaged")
    run = asyncio.run(Run(folder).play(copy(template, folder)))
    assert (run.failures, run.notices, run.unreadable) == ([], [], ())
    assert len(run.told) > 50
    return run.told


@pytest.mark.long
@settings(max_examples=max(8, EXAMPLES // 4), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_all_other_reminders_go_out(
    template: Path, undamaged: Told, tmp_path: Path, data: st.DataObject
) -> None:
    """Whatever any column of any row holds, the daemon runs on and sends all that the row does not concern.

    Meanwhile `alertd status`, the pages, the feeds, the API and the metrics answer for the rest.
    """
    places = list_places(template)
    table, column = data.draw(st.sampled_from(sorted({place[:2] for place in places})))
    place = data.draw(st.sampled_from([place for place in places if place[:2] == (table, column)]))
    value = data.draw(st.sampled_from(VALUES))
    path = copy(template, tmp_path)
    touched = find_touched(path, place)
    assume(damage(path, place, value))

    run = asyncio.run(Run(tmp_path).play(path))

    note(f"{place} = {value!r}: {run.unreadable}")
    lost = {told for told in undamaged - run.told if not touched & {told[:2], ("", told[1])}}
    assert not lost
    # 404 if the record's id is damaged, so that nobody has that name; 503 if the record cannot be read.
    concerned = {
        f"{above}/{name}: {status}"
        for _, name in touched
        for above in ("/milestones", "/api/v1/milestones")
        for status in (404, 503)
    }
    assert set(run.failures) <= concerned


async def test_mended_row_goes_out(template: Path, undamaged: Told, tmp_path: Path) -> None:
    """What people did to a milestone is in no file: it waits, is told of once, and goes out when mended."""

    def write(standing: str) -> None:
        with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
            connection.execute("update milestone set standing = ? where id = 't/b'", (standing,))

    async def mend() -> None:
        write("{}")

    path = copy(template, tmp_path)
    write("{")
    held = await Run(tmp_path).play(path)
    path = copy(template, tmp_path)
    write("{")
    mended = await Run(tmp_path).play(path, mend=mend)

    assert undamaged - held.told == {told for told in undamaged if told[1] == "t/b"}
    (notice,) = held.notices
    assert notice.startswith("1 row of the ledger cannot be read\nmilestone t/b: ")
    assert mended.told == undamaged
    assert mended.unreadable == ()


async def test_definition_file_mends_a_record(template: Path, undamaged: Told, tmp_path: Path) -> None:
    """A record and reminders that a definition file defines well are written again, and nothing is lost."""
    path = copy(template, tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("update milestone set snapshot = replace(snapshot, 'UTC', 'Nowhere/Gone')")
        connection.execute("update owed set wake_at = 'soon' where state = 'pending'")

    run = await Run(tmp_path).play(path)

    assert run.told >= undamaged
    assert run.unreadable == ()
