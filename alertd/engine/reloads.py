"""Who has asked the daemon to read its files again, and waits to hear how that went."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """How a reload ended.

    Attributes:
        accepted: ``alertd.yaml`` and every timeline without a problem are in force. False: what was in force
            before goes on, all of it.
        problems: ``file:line:column: message`` each; a file that has one stays as it was.
    """

    accepted: bool
    problems: tuple[str, ...] = ()


class Reloads:
    """Brings those who ask together with the loop, which alone reloads.

    Args:
        want: has the loop reload, and waits for nothing.
    """

    def __init__(self, want: Callable[[], None]) -> None:
        self.want = want
        self._waiting: list[asyncio.Future[Reloaded]] = []

    async def ask(self) -> Reloaded:
        """Have the files read again, from now on and not before, and wait until that is done."""
        answer: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self.want()
        try:
            return await answer
        finally:
            self._waiting.remove(answer)

    def asked(self) -> tuple[asyncio.Future[Reloaded], ...]:
        """Who has asked by now: a reload that begins now is theirs, whoever asks later is owed another."""
        return tuple(self._waiting)

    @staticmethod
    def answer(asked: Iterable[asyncio.Future[Reloaded]], how: Reloaded) -> None:
        """Tell them; who has gone away meanwhile is told nothing."""
        for one in asked:
            if not one.done():
                one.set_result(how)
