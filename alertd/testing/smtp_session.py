"""One connection to the recording SMTP server: aiosmtpd's, but that it counts, and fails by a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from alertd.testing.smtp_sink import SmtpSink


class SmtpSession(SMTP):
    """Before it obeys a command it looks whether the script says something else."""

    def __init__(self, sink: SmtpSink, handler: object, **options: Any) -> None:
        super().__init__(handler, **options)
        self._sink = sink
        for name, obey in list(self._smtp_methods.items()):
            self._smtp_methods[name] = self._scripted(name, obey)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = self._original_transport is None  # once more after STARTTLS
        super().connection_made(transport)
        self._sink._open.add(transport)
        self._sink.connections += first

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._sink._open.discard(self.transport)
        super().connection_lost(error)

    def _scripted(
        self, name: str, obey: Callable[[str], Awaitable[None]]
    ) -> Callable[[str], Awaitable[None]]:
        async def answer(arg: str) -> None:
            self._sink.commands.append(name)
            if self._sink.drop == name and self.transport is not None:
                self.transport.close()
            elif name in self._sink.answers:
                await self.push(self._sink.answers[name])
            else:
                await obey(arg)

        return answer
