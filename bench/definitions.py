"""Measures how fast alertd reads definitions, compared with PyYAML's C loader and pydantic on the same files.

    python bench/definitions.py make FOLDER [MILESTONES]   write a configuration folder
    python bench/definitions.py baseline FOLDER            read it as the comparison does
    python bench/definitions.py compare [MILESTONES]       measure `alertd check` and `alertd plan` beside it

Only the ratio matters. Each figure is the median of whole processes that run in turn.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

PER_FILE = 500
ROUNDS = 5
PLANNED = ("plan", "--from", "2027-03-01", "--to", "2027-04-01", "--format", "jsonl")

CONFIG = """\
timezone: Europe/Berlin
policies:
  default: {before: [90d, 30d, 7d, 1d], after: [1d, 7d, 28d], at: "09:00"}
  short: {before: [3d], after: [1d], then_every: 7d}
  quiet: {before: [], after: [], opens: false}
route:
  receiver: desk
  routes:
    - {matchers: ['country="iraq"'], receiver: leads}
receivers:
  - {name: desk, notifiers: [{type: console}]}
  - {name: leads, notifiers: [{type: console}]}
"""

_ZONES = ("Asia/Baghdad", "Europe/Berlin", "America/New_York", "UTC")
_COUNTRIES = ("iraq", "france", "chile", "japan", "kenya")


def make_folder(folder: Path, milestones: int, per_file: int = PER_FILE) -> None:
    """Write a configuration folder with this many milestones, which are always the same."""
    (folder / "milestones").mkdir(parents=True, exist_ok=True)
    (folder / "alertd.yaml").write_text(CONFIG)
    for first in range(0, milestones, per_file):
        number = first // per_file
        text = "".join(_list_lines(number, range(first, min(first + per_file, milestones))))
        (folder / "milestones" / f"t{number:05}.yaml").write_text(text)


def _list_lines(number: int, milestones: range) -> Iterator[str]:
    country = _COUNTRIES[number % len(_COUNTRIES)]
    yield f"timeline: t{number:05}\ntitle: Plan {number} of the ministry\ntimezone: {_ZONES[number % 4]}\n"
    yield f"labels: {{country: {country}}}\nowner: Team {number % 7}\nsources:\n"
    for source in range(5):
        yield f"  s{source}: {{who: Speaker {source} of {country}, short: speaker {source}, "
        yield f"publisher: Agency {source}, published: 2026-0{source + 1}-08}}\n"
    yield "milestones:\n"
    for place, index in enumerate(milestones):
        yield f"  - id: m{index}\n    title: Step {index} of plan {number} is complete and published\n"
        if place % 25 == 7:
            yield f"    after: m{index - 3} + {place % 60 + 1}d\n"
        elif place % 50 == 11 and number:
            yield f"    after: t{number - 1:05}/m{index - PER_FILE - 3} + 2mo\n"
        elif place % 40 == 13:
            yield "    claims:\n"
            yield f"      - {{deadline: {_make_deadline(index)}, source: s1, note: as said on the radio}}\n"
            yield f"      - {{deadline: {_make_deadline(index + 97)}, source: s2}}\n"
        elif place % 50 == 21:
            yield "    deadline: 2026-12-31\n    repeat: RRULE:FREQ=MONTHLY;BYMONTHDAY=-1\n"
        else:
            yield f"    deadline: {_make_deadline(index)}\n"
        if place % 40 != 13:
            yield f"    source: s{index % 5}\n"
        yield f"    labels: {{area: a{index % 30}}}\n"
        if place % 10 == 3:
            yield "    policy: short\n"
        if place % 20 == 9:
            yield "    tentative: true\n"
        if place % 10 == 5:
            yield f'    description: "What step {index} means: the bridge opens, and the old road closes."\n'


def _make_deadline(index: int) -> str:
    year, month, day = 2026 + index % 4, index * 7 % 12 + 1, index * 11 % 28 + 1
    match index % 8:
        case 0 | 1:
            return f"{year}-{month:02}"
        case 2:
            return f"{year}-{month:02}~"
        case 3:
            return f"{year}-Q{month % 4 + 1}"
        case _:
            return f"{year}-{month:02}-{day:02}"


def read_by_pydantic(folder: Path) -> int:
    """Read the timelines with PyYAML's C loader and pydantic, and return the number of milestones."""
    from typing import Any

    import yaml
    from pydantic import BaseModel

    class Source(BaseModel):
        who: str
        short: str = ""
        publisher: str = ""
        published: Any = ""

    class Claim(BaseModel):
        deadline: Any = None
        after: str | None = None
        source: str | None = None
        note: str = ""

    class Milestone(BaseModel):
        id: str
        title: str
        deadline: Any = None
        after: str | None = None
        source: str | None = None
        claims: list[Claim] = []
        labels: dict[str, str] = {}
        policy: str | None = None
        repeat: str | None = None
        tentative: bool = False
        description: str = ""

    class Timeline(BaseModel):
        timeline: str
        title: str
        timezone: str = "UTC"
        labels: dict[str, str] = {}
        owner: str = ""
        sources: dict[str, Source] = {}
        milestones: list[Milestone]

    timelines = [
        Timeline.model_validate(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
        for path in sorted(folder.glob("milestones/*.yaml"))
    ]
    return sum(len(timeline.milestones) for timeline in timelines)


class Run(NamedTuple):
    """What a process took: the time on the clock and the processor time, in seconds."""

    wall_s: float
    cpu_s: float


def measure(command: list[str]) -> Run:
    """Run a command to its end and return what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def compare(milestones: int) -> None:
    """Measure all commands in turn and print the medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_folder(folder, milestones)
        alertd = [str(Path(sys.executable).with_name("alertd"))]
        config = ["--config", name]
        commands = {
            "PyYAML's C loader, pydantic": [sys.executable, __file__, "baseline", name],
            "alertd check": [*alertd, "check", *config],
            "alertd plan of a month": [*alertd, *PLANNED, *config],
        }
        runs: dict[str, list[Run]] = {title: [] for title in commands}
        for _ in range(ROUNDS):
            for title, command in commands.items():
                runs[title].append(measure(command))
    base = next(iter(runs.values()))
    for title, taken in runs.items():
        wall, cpu = median(run.wall_s for run in taken), median(run.cpu_s for run in taken)
        ratio = median(run.wall_s / beside.wall_s for run, beside in zip(taken, base, strict=True))
        print(f"{title:<30} {wall:6.2f} s  {cpu:6.2f} s of CPU  {ratio:5.2f}")


def main() -> None:
    what, *rest = sys.argv[1:] or ["compare"]
    if what == "make":
        make_folder(Path(rest[0]), int(rest[1]) if rest[1:] else 100_000)
    elif what == "baseline":
        print(read_by_pydantic(Path(rest[0])))
    else:
        compare(int(rest[0]) if rest else 100_000)


if __name__ == "__main__":
    main()
