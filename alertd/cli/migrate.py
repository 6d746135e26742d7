"""``alertd migrate``: bring the ledger's schema up to this alertd's."""

from __future__ import annotations

from alertd.cli.loading import finished
from alertd.cli.options import DatabaseOption
from alertd.cli.paper import say


def migrate(database: DatabaseOption = None) -> None:
    """Bring the ledger up to date.

    An embedded ledger needs it never: it is brought up to date when it is opened. PostgreSQL does, before
    the first start and after an upgrade. Daemons may go on running meanwhile: those of an older alertd stop
    writing and end.
    """
    say(finished(_migrated(database)))


async def _migrated(database: str | None) -> str:
    from alertd.cli.loading import settings_of
    from alertd.store import migrate as bring_up_to_date

    where, before, after = await bring_up_to_date(settings_of(None, database).database_url())
    if before == after:
        return f"{where} is at revision {after} already."
    if not before:
        return f"{where} was empty and is at revision {after} now."
    return f"{where} was at revision {before} and is at {after} now."
