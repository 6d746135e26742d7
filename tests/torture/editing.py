"""Edits and reloads of the files, beside whatever a scenario does, until it ends.

The edits are harmless: none of them changes what is owed, to whom or when. The files that a scenario has
promised from are touched and get comments. A timeline of its own, whose reminders fall due in many years, is
written again with other titles and with more or fewer milestones. A policy that no milestone has changes in
``alertd.yaml``, so that all is planned again and new notifiers are made.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.torture.arena import Arena

NAME = "beside"
FAR_OFF = "2099-01-01"
LEAST, MOST = 20, 120
"""Milestones of the timeline that is edited."""

PAUSE_S = (0.5, 1.5)
SIGNAL_SHARE = 0.6
"""How often a reload is asked for at once. Otherwise the daemon finds the edit by itself."""

MARK = "# an edit beside the scenario"


@asynccontextmanager
async def edited_beside(arena: Arena, seed: str) -> AsyncIterator[None]:
    """Edit and reload while the body runs."""
    task = asyncio.create_task(_edit_again_and_again(arena, random.Random(f"{seed}/edits")))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _edit_again_and_again(arena: Arena, rng: random.Random) -> None:
    number = 0
    while True:
        await arena.passes(rng.uniform(*PAUSE_S))
        if not (arena.may_edit and arena.timelines and (arena.config / "alertd.yaml").exists()):
            continue
        number += 1
        edit = rng.choice((_rewrite_own, _rewrite_own, _touch, _comment, _comment, _change_policy))
        edit(arena, rng, number)
        arena.count("edits")
        if rng.random() < SIGNAL_SHARE:
            for node in arena.nodes:
                node.ask_to_reload()
        else:
            await arena.passes(2 * PAUSE_S[1])


def _rewrite_own(arena: Arena, rng: random.Random, number: int) -> None:
    """Write the timeline that nobody is owed anything of, with other titles and another count."""
    listed = "".join(
        f"  - {{id: m{place}, title: 'Edit {number} of {place}', deadline: '{FAR_OFF}', source: m}}\n"
        for place in range(rng.randint(LEAST, MOST))
    )
    text = (
        f"timeline: {NAME}\ntitle: Edit {number}\ntimezone: UTC\n"
        f"policy: {{before: [1d], on_day: false, after: [], opens: false}}\n"
        f"sources: {{m: {{who: A. Minister}}}}\nmilestones:\n{listed}"
    )
    _replace(arena.config / "milestones" / f"{NAME}.yaml", text)


def _touch(arena: Arena, rng: random.Random, _number: int) -> None:
    os.utime(_choose(arena, rng))


def _comment(arena: Arena, rng: random.Random, number: int) -> None:
    _mark(_choose(arena, rng), f"{MARK}: {number}")


def _change_policy(arena: Arena, _rng: random.Random, number: int) -> None:
    line = f"policies: {{{NAME}: {{before: [{number}d], after: [1d]}}}}  {MARK}"
    _mark(arena.config / "alertd.yaml", line)


def _choose(arena: Arena, rng: random.Random) -> Path:
    """Choose a file that the scenario has promised from."""
    return arena.config / "milestones" / f"{rng.choice(arena.timelines).id}.yaml"


def _mark(file: Path, line: str) -> None:
    """Put a line at the end of a file, in place of the one of the last edit."""
    kept = [one for one in file.read_text(encoding="utf-8").splitlines() if MARK not in one]
    _replace(file, "\n".join([*kept, line]) + "\n")


def _replace(file: Path, text: str) -> None:
    """Write a file anew. The daemon never sees half of it."""
    half = file.with_suffix(".half")
    half.write_text(text, encoding="utf-8")
    half.replace(file)
