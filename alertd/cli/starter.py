"""``alertd init`` and ``alertd schema``: files to begin with, and what may stand in them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Schema(StrEnum):
    """Which file."""

    CONFIG = "config"
    TIMELINE = "timeline"
    WEBHOOK = "webhook"


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Made when it is not there.", show_default=False)
    ],
) -> None:
    """Write a configuration to begin with.

    It is commented, has one example, and works as it is. Nothing is overwritten.
    """
    from alertd import app
    from alertd.cli.starter_files import starter_files
    from alertd.errors import SettingsError

    files = {folder / name: text for name, text in starter_files(app.now().date()).items()}
    for path in files:
        if path.exists() or path.is_symlink():
            raise SettingsError(f"{path} is there already; nothing was written")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise SettingsError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    for path in files:
        typer.echo(f"wrote {path}")
    typer.echo(
        f"\nWhat it would send:  alertd plan --config {folder} --to 1y"
        f"\nWhether it is right: alertd check --config {folder}"
        f"\nRun it:              alertd run --config {folder}"
    )


def schema(
    which: Annotated[
        Schema, typer.Argument(help="alertd.yaml, a file of milestones/, or the body of a webhook.")
    ] = Schema.CONFIG,
) -> None:
    """Print the JSON Schema of a file, or of a webhook's body."""
    from alertd.definitions.schema import config_schema, schema_text, timeline_schema
    from alertd.notify.webhook.payload_schema import webhook_schema

    makers = {Schema.CONFIG: config_schema, Schema.TIMELINE: timeline_schema, Schema.WEBHOOK: webhook_schema}
    typer.echo(schema_text(makers[which]()), nl=False)
