"""`make run` on the shipped files: a first message with the right numbers, and no other after a kill."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, a_stage

ROOT = Path(__file__).parents[2]
BAGHDAD = timedelta(hours=3)  # all year round
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

# What the timeline says, by milestone: in whose words, first and last day.
WINDOWS = {
    "signing": [("the minister", date(2024, 9, 1), date(2024, 9, 30))],
    "phase-1": [("the minister and Reuters", date(2025, 9, 1), date(2025, 9, 30))],
    "phase-2": [
        ("the minister", date(2026, 9, 1), date(2026, 9, 30)),
        ("Reuters", date(2026, 1, 1), date(2026, 12, 31)),
    ],
}


@dataclass(frozen=True)
class Expected:
    """What is to be said of one milestone on a day, computed without any code of alertd's."""

    said: tuple[str, ...]
    next_day: date | None


def expected(now: datetime) -> dict[str, Expected]:
    """What the first message says at ``now`` of each milestone that it is about."""
    found = {}
    today = (now + BAGHDAD).date()
    for milestone, windows in WINDOWS.items():
        rungs = sorted({day for _, first, last in windows for day in days(first, last)})
        due = [day for day in rungs if timedelta() <= now - nine(day) <= timedelta(days=35)]
        coming = [day for day in rungs if nine(day) > now]
        if due:
            said = tuple(standing(who, (last - today).days) for who, _, last in windows)
            found[milestone] = Expected(said=said, next_day=coming[0] if coming else None)
    return found


def days(first: date, last: date) -> list[date]:
    """The days on which the default policy reminds."""
    offsets = (-90, -30, -7, -1, 0, 1, 7, 14, 28)
    return [first, *(last + timedelta(days=offset) for offset in offsets)]


def nine(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 9, tzinfo=UTC) - BAGHDAD


def standing(who: str, days_left: int) -> str:
    match days_left:
        case 0:
            where = "due today"
        case 1:
            where = "due tomorrow"
        case -1:
            where = "passed yesterday"
        case _ if days_left > 0:
            where = f"due in {days_left} days"
        case _:
            where = f"passed {-days_left} days ago"
    if " and " in who:
        return where
    owner = f"{who}'" if who.endswith("s") else f"{who}'s"
    return f"{where} by {owner} account"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with a_stage(tmp_path, ROOT / "config") as made:
        yield made


async def test_first_message_on_the_shipped_files(stage: Stage) -> None:
    """The first message says where phase 2 stands by each account, in days, and when the next one comes."""
    before = expected(datetime.now(UTC))
    daemon = await stage.start()
    if before:
        await daemon.until("delivery.sent")
    await daemon.kill()
    after = expected(datetime.now(UTC))

    again = await stage.start()
    await again.stop()

    printed = " ".join(daemon.printed.split()).lower()
    # Midnight, or nine o'clock, may have come in between.
    assert any(says(printed, one) for one in (before, after)), printed
    assert daemon.count("audit.failed") == again.count("audit.failed") == 0
    assert again.printed == ""
    assert again.count("delivery.bound") == again.count("delivery.sent") == 0


def says(printed: str, expected: Mapping[str, Expected]) -> bool:
    """Whether the message says all that is expected, of these milestones alone."""
    about = {name for name in WINDOWS if f"iraq-coalition-withdrawal/{name}" in printed}
    texts = [text for one in expected.values() for text in one.said]
    if len(expected) == 1:
        texts += [next_text(one.next_day) for one in expected.values()]
    return about == set(expected) and all(text.lower() in printed for text in texts)


def test_expectations_are_those_of_the_issue() -> None:
    """On 24 November 2026 the first message is about phase 2 alone, with the numbers of the design."""
    found = expected(datetime(2026, 11, 24, 12, tzinfo=UTC))

    assert found == {
        "phase-2": Expected(
            said=("passed 55 days ago by the minister's account", "due in 37 days by Reuters' account"),
            next_day=date(2026, 12, 1),
        )
    }


async def test_make_run_is_this() -> None:
    """`make run` ends in the very command that these tests start."""
    made = await asyncio.create_subprocess_exec(
        "make",
        "--no-print-directory",
        "--dry-run",
        "run",
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    out, _ = await asyncio.wait_for(made.communicate(), 10)

    assert out.decode().splitlines()[-1].endswith("alertd run --config config")


def next_text(day: date | None) -> str:
    if day is None:
        return "No further reminder is planned"
    return f"Next reminder: {day.day} {MONTHS[day.month - 1]} {day.year}"
