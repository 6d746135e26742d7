"""Finds the definitions that a daemon starts with."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from alertd.core.config import Config, Definitions
from alertd.engine.deps import Dependencies
from alertd.engine.files import HANGS_AFTER_S, DefinitionFiles
from alertd.engine.ledger_watch import PageCheck
from alertd.engine.status import StatusReporter
from alertd.errors import DefinitionsError
from alertd.system.telemetry import Event

CONFIG_WITHIN_S = 5.0
"""How long a start waits for the configuration alone."""


class FirstRead:
    """Reads the definition files at a start.

    A folder that hangs is waited for, since nothing can be done without it.
    """

    def __init__(
        self, deps: Dependencies, files: DefinitionFiles, status: StatusReporter, pages: PageCheck
    ) -> None:
        self._deps = deps
        self._files = files
        self._status = status
        self._pages = pages

    async def read_config(self) -> Config | None:
        """Return the configuration alone, so that what the ledger owes is sent while all files are read.

        Returns:
            None if the configuration has a problem or the folder hangs.
        """
        found: asyncio.Future[Config | Exception | None] = asyncio.get_running_loop().create_future()

        def end(result: Config | Exception | None) -> None:
            if not found.done():
                found.set_result(result)

        self._deps.file_worker.submit(self._deps.load_config, end)
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIG_WITHIN_S):
                result = await found
                # The reading of all files finds the same problem, and says what it is.
                return None if isinstance(result, Exception) else result
        return None

    async def read(self) -> tuple[Definitions, Config]:
        """Return the definitions and their configuration.

        Raises:
            DefinitionsError: there is no configuration to run with. ``alertd.yaml`` has a problem and the
                ledger keeps no configuration, or it has no content although the ledger has timelines.
        """
        definitions = await self._use_kept_config(await self._read())
        if definitions.unconfigured is not None and await self._pages.attempt(self._has_lived(), True):
            definitions = definitions.require_config()
        if definitions.config is None:
            raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
        return definitions, definitions.config

    async def _has_lived(self) -> bool:
        """Return whether the ledger has timelines. A ledger with damaged pages has lived."""
        return bool(await self._deps.ledger.read_timelines())

    async def _read(self, kept: str = "") -> Definitions:
        """Read all definition files.

        Args:
            kept: the content to use in place of an ``alertd.yaml`` that has a problem; "" for none.
        """
        files = self._files
        files.begin(kept)
        while files.result is None:
            try:
                async with asyncio.timeout(HANGS_AFTER_S):
                    await files.wait()
            except TimeoutError:
                self._deps.log.error(Event.FILES_HUNG, reason="the configuration folder does not answer")
        result, files.result = files.result, None
        if isinstance(result, Exception):
            raise result
        return result

    async def _use_kept_config(self, definitions: Definitions) -> Definitions:
        """Return the definitions with the configuration that the ledger keeps, if ``alertd.yaml`` is broken.

        The caller decides about a file that is missing or has no content, which somebody may have intended.
        """
        if definitions.config is not None or definitions.is_absent:
            return definitions
        kept = await self._pages.attempt(self._deps.ledger.read_kept_config(), None)
        if kept is None or not self._files.can_keep:
            return definitions
        found = await self._read(kept.text)
        if not found.from_ledger:
            return definitions
        self._status.config_fault = (
            f"alertd.yaml has a problem; the configuration that {kept.node} accepted on "
            f"{kept.at:%Y-%m-%d %H:%M}Z is in force"
        )
        self._deps.log.error(
            Event.CONFIG_KEPT, node=kept.node, at=kept.at.isoformat(), problem=str(found.problems[0])
        )
        return found
