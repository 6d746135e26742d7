"""``alertd migrate``, ``backup``, ``restore`` and ``prune``: maintain the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alertd.cli.loading import run_to_end
from alertd.cli.options import ConfigOption, DatabaseOption
from alertd.cli.paper import say

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


def backup(file: FileArgument, config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Copy the ledger to a new file.

    The daemon can keep running: the copy is a consistent snapshot. A ledger in PostgreSQL is copied with
    pg_dump.
    """
    from alertd.cli.loading import read_settings
    from alertd.store.database.backup import backup as copy

    size = copy(read_settings(config, database).database_url(), file)
    say(f"wrote {file}, {size / 1024:,.0f} KiB")


def restore(file: FileArgument, config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Put a copy of the ledger back.

    Stop the daemon first. The replaced ledger is kept beside the new one. Reminders that were sent after the
    copy was made are sent again under the same ids, unless they are older than `catch_up`.
    """
    from alertd.cli.loading import read_settings
    from alertd.store.database.backup import restore as put_back

    settings = read_settings(config, database)
    kept = put_back(file, settings.database_url())
    say(f"The ledger is as it was in {file}." + (f" What it was until now is in {kept}." if kept else ""))


def prune(
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="DURATION",
            help="At least 90d.  [default: keep of alertd.yaml]",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> None:
    """Delete old notices and repeats, and milestones that were removed from the files long ago.

    The daemon does the same once a day. Of a milestone that lives, only old repeats of `then_every` are
    forgotten.
    """
    forgotten = run_to_end(_prune(older_than, config, database))
    milestones, reminders, deliveries = (
        forgotten[kind] for kind in ("milestones", "reminders", "deliveries")
    )
    say(f"forgot {milestones:,} milestones, {reminders:,} old repeats and {deliveries:,} deliveries")


async def _prune(older_than: str | None, config: Path | None, database: str | None) -> dict[str, int]:
    from datetime import timedelta

    from alertd import app
    from alertd.cli.loading import load_usable_definitions, open_ledger, read_settings
    from alertd.core.time.duration import parse_duration
    from alertd.engine.prune import prune as forget
    from alertd.errors import DurationError

    settings = read_settings(config, database)
    if older_than is None:
        keep = load_usable_definitions(settings)[1].keep
    else:
        try:
            duration = parse_duration(older_than)
        except DurationError as error:
            raise typer.BadParameter(str(error), param_hint="--older-than") from None
        # A month counts as 30 days. No reminder depends on this duration, so the error does no harm.
        keep = timedelta(days=duration.months * 30 + duration.days, seconds=duration.seconds)
        if keep < timedelta(days=90):
            raise typer.BadParameter(
                "a milestone may come back: keep at least 90d", param_hint="--older-than"
            )
    async with open_ledger(settings) as ledger:
        return await forget(ledger, app.now() - keep)


def migrate(database: DatabaseOption = None) -> None:
    """Bring the ledger up to date.

    Run this for PostgreSQL before the first start and after each upgrade, and back up the database first. An
    embedded ledger is also brought up to date when `alertd run` starts; it is copied first, to a file beside
    it. Daemons can keep running during a migration: daemons of an older alertd stop writing and exit.
    """
    say(run_to_end(_migrate(database)))


async def _migrate(database: str | None) -> str:
    from alertd.cli.loading import read_settings
    from alertd.store import migrate as bring_up_to_date

    where, before, after, copy = await bring_up_to_date(read_settings(None, database).database_url())
    if before == after:
        return f"{where} is at revision {after} already."
    if not before:
        return f"{where} was empty and is at revision {after} now."
    done = f"{where} was at revision {before} and is at {after} now."
    if copy is not None:
        done += f" {copy} is a copy from before."
    return f"{done} A daemon of an older alertd exits: start the new one."
