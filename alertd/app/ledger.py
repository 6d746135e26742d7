"""Opens the ledger that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alertd.system.settings import Settings

if TYPE_CHECKING:
    from alertd.ports import Ledger
    from alertd.store.sql import SqlLedger
    from alertd.system.telemetry import Log


async def open_ledger(settings: Settings, *, create: bool = True) -> SqlLedger:
    """Open the ledger, without an upgrade of its schema.

    Args:
        create: whether to create an embedded ledger that is missing.
    """
    from alertd import store

    return await store.open_ledger(settings.database_url(), create=create)


async def open_upgraded(settings: Settings, log: Log) -> SqlLedger:
    """Open the daemon's ledger. An embedded ledger is created if it is missing, and upgraded after a copy."""
    from alertd import store
    from alertd.system.telemetry import Event

    if embedded_file(settings.database_url()):
        upgrade = await store.migrate(settings.database_url())
        if upgrade.copy is not None:
            log.info(
                Event.LEDGER_MIGRATED, before=upgrade.before, after=upgrade.after, copy=str(upgrade.copy)
            )
    return await open_ledger(settings)


async def read_shared_secret(settings: Settings, ledger: Ledger) -> str:
    """Read or make the secret that all nodes share; "" for an embedded ledger, whose secret is in a file."""
    from alertd.web.server.signing import new_secret

    return "" if embedded_file(settings.database_url()) else await ledger.ensure_shared_secret(new_secret())


def embedded_file(url: str) -> Path | None:
    """Return the file of an embedded ledger; None for any other ledger."""
    path = url.removeprefix("sqlite:///")
    return Path(path) if path != url and path else None
