"""Loads a folder of timelines with PyYAML's C loader and pydantic, as a program of its own.

    python -m bench.rows.baseline FOLDER

It computes no window, finds no duplicate, and knows no line of a mistake. ``alertd check`` does all of that.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel


class Source(BaseModel):
    who: str
    publisher: str
    published: date


class Milestone(BaseModel):
    id: str
    title: str
    deadline: str
    source: str
    labels: dict[str, str] = {}


class Timeline(BaseModel):
    timeline: str
    title: str
    timezone: str
    sources: dict[str, Source]
    milestones: list[Milestone]


def main(folder: Path) -> None:
    files = sorted((folder / "milestones").glob("*.yaml"))
    timelines = [Timeline.model_validate(yaml.load(path.read_bytes(), yaml.CSafeLoader)) for path in files]
    print(sum(len(timeline.milestones) for timeline in timelines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
