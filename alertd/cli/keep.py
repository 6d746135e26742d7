"""``alertd backup``, ``restore`` and ``prune``: what is kept of the ledger, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, DatabaseOption
from alertd.cli.paper import say

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]


def backup(file: FileArgument, config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Copy the ledger into a new file.

    The daemon may go on running: the copy is one state of the ledger. A ledger in PostgreSQL is copied with
    pg_dump.
    """
    from alertd.cli.loading import settings_of
    from alertd.store.database.backup import backup as copy

    size = copy(settings_of(config, database).database_url(), file)
    say(f"wrote {file}, {size / 1024:,.0f} KiB")


def restore(file: FileArgument, config: ConfigOption = None, database: DatabaseOption = None) -> None:
    """Put a copy of the ledger back.

    Stop the daemon first. What the ledger was is kept beside it. What was sent after the copy was made is
    sent again, under the same ids, as far as it is not older than `catch_up`.
    """
    from alertd.cli.loading import settings_of
    from alertd.store.database.backup import restore as put_back

    settings = settings_of(config, database)
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
    """Forget milestones that are gone from the files for long, and old notices.

    The daemon does the same once a day. What was sent for a milestone that lives is never forgotten.
    """
    milestones, deliveries = finished(_pruned(older_than, config, database))
    say(f"forgot {milestones:,} milestones and {deliveries:,} deliveries")


async def _pruned(older_than: str | None, config: Path | None, database: str | None) -> tuple[int, int]:
    from datetime import timedelta

    from alertd import app
    from alertd.cli.loading import open_ledger, settings_of, usable_definitions
    from alertd.core.time.duration import parse_duration
    from alertd.engine.prune import prune as forget
    from alertd.errors import DurationError

    settings = settings_of(config, database)
    if older_than is None:
        keep = usable_definitions(settings)[1].keep
    else:
        try:
            duration = parse_duration(older_than)
        except DurationError as error:
            raise typer.BadParameter(str(error), param_hint="--older-than") from None
        # A month is taken for 30 days: nobody's reminder hangs on it.
        keep = timedelta(days=duration.months * 30 + duration.days, seconds=duration.seconds)
        if keep < timedelta(days=90):
            raise typer.BadParameter(
                "a milestone may come back: keep at least 90d", param_hint="--older-than"
            )
    async with open_ledger(settings) as book:
        forgotten = await forget(book, app.now() - keep)
    return forgotten["milestones"], forgotten["deliveries"]
