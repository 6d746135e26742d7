"""People: what they say, and how they say it again until they know that it is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from alertd.core.milestones.status import Action, ActionKind
from alertd.engine.actions import act
from alertd.errors import AlertdError, LedgerError
from alertd.ports import Ledger
from tests.sim.dice import Dice
from tests.sim.files import definitions
from tests.sim.ports import NodeClock, NodeLedger
from tests.sim.spec import Files

if TYPE_CHECKING:
    from tests.sim.world import SimWorld

TRIES = 40
AGAIN_S = 2.0
DAY_S = 86_400.0


class Person:
    """Speaks through the same ledger, by a command of its own each time; its clock is right."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self.name = "person"
        self.life = 0
        self.lacks = ""
        # No command crashes or freezes half-way here: what is not confirmed is said again.
        self.dice = Dice(world.seed, "person", world.profile)
        self.observer = world.observer
        self.clock = NodeClock(world.now, world.loop.time)
        self.heard: Callable[[], None] | None = None
        self.files: Files = world.files
        self._tasks: set[asyncio.Task[None]] = set()

    def speak(self, milestone: str = "") -> None:
        """Say something about a milestone, or about any of them, soon."""
        task = asyncio.get_running_loop().create_task(self._speak(milestone))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _speak(self, milestone: str) -> None:
        world, luck = self._world, self._world.random
        if not world.files.specs:
            return
        name = milestone or luck.choice(world.files.specs).id
        kinds = (
            [ActionKind.ACK] * 3
            + [ActionKind.SNOOZE] * 3
            + [ActionKind.DONE, ActionKind.CANCEL]
            + [ActionKind.REOPEN] * 3
        )
        if world.files.followers:
            kinds += [ActionKind.DONE] * 6
        kind = luck.choice(kinds)
        await self._until_confirmed(self._action(kind, name))
        if kind in {ActionKind.DONE, ActionKind.CANCEL} and luck.random() < 0.6:
            await asyncio.sleep(luck.choice((5.0, 3600.0, 4 * DAY_S)))
            await self._until_confirmed(self._action(ActionKind.REOPEN, name))

    def _action(self, kind: ActionKind, name: str) -> Action:
        now, luck = self._world.now(), self._world.random
        days = luck.choice((0.01, 1.0, 4.0, 12.0, 30.0))
        needs_until = kind in {ActionKind.ACK, ActionKind.SNOOZE}
        return Action(
            kind=kind,
            milestone=name,
            at=now,
            by="ada",
            until=now + timedelta(days=days) if needs_until else None,
            done_on=now.date() if kind is ActionKind.DONE else None,
        )

    async def _until_confirmed(self, action: Action) -> None:
        config = definitions(self._good(), 0).config
        assert config is not None
        self.say("says", f"{action.milestone} {action.kind.value} until {action.until or '-'}")
        for _ in range(TRIES):
            try:
                await act(cast(Ledger, NodeLedger(cast(Any, self), self._world.ledger)), config, action)
            except LedgerError:
                await asyncio.sleep(AGAIN_S)
            except AlertdError as error:
                self.say("refused", f"{action.milestone} {action.kind.value}: {type(error).__name__}")
                return
            else:
                self.observer.confirmed(action.milestone, action.kind.value, action.at)
                self.say("confirmed", f"{action.milestone} {action.kind.value}")
                return

    def _good(self) -> Files:
        """The last files that were whole: a person's command reads them too."""
        from dataclasses import replace

        return replace(self._world.files, broken=frozenset(), config_broken=False)

    # -- what NodeLedger asks of whoever calls

    @property
    def is_cut_off(self) -> bool:
        return self._world.ledger_is_dead

    @property
    def is_full(self) -> bool:
        return self._world.ledger_is_full

    async def moment(self) -> None:
        pause_s = self.dice.jitter_s()
        if pause_s:
            await asyncio.sleep(pause_s)

    async def gate(self) -> None:
        """Nothing holds it up."""

    def crash(self) -> None:
        """The command is not killed."""

    def stall(self) -> None:
        """Nor is it frozen."""

    def say(self, what: str, detail: str = "") -> None:
        self._world.trace.add(self.name, what, detail)
