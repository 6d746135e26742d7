"""Waits for conditions: rung when something has happened, and never for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.e2e import stage

TICK_S = 0.25
"""How often a condition is looked at that nothing rings for, such as the state of a ledger."""


class Bell(stage.Bell):
    """Rung by sinks, by logs and by ends of processes."""

    def __init__(self) -> None:
        super().__init__()
        self._something = asyncio.Event()

    def ring(self) -> None:
        super().ring()
        self._something.set()

    async def within(
        self, limit_s: float, condition: Callable[[], bool], what: Callable[[], object] = lambda: ""
    ) -> None:
        """Return when the condition holds; fail after ``limit_s`` seconds."""
        if not await self.happens(limit_s, condition):
            raise AssertionError(f"nothing of the kind within {limit_s:g} s: {what()}")

    async def happens(self, limit_s: float, condition: Callable[[], bool]) -> bool:
        """Whether the condition holds within ``limit_s`` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        while not condition():
            left = until - loop.time()
            if left <= 0:
                return False
            self._something.clear()
            try:
                async with asyncio.timeout(min(left, TICK_S)):
                    await self._something.wait()
            except TimeoutError:
                continue
        return True
