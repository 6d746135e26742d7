"""``alertd status``: whether all is well, and what waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from alertd.cli.loading import finished
from alertd.cli.options import ConfigOption, DatabaseOption, Format, FormatOption
from alertd.cli.paper import show, write_rows, write_value

if TYPE_CHECKING:
    from datetime import datetime

    from alertd.cli.health import Health
    from alertd.ports import Ledger
    from alertd.settings import Settings


def status(
    config: ConfigOption = None, database: DatabaseOption = None, form: FormatOption = Format.TEXT
) -> None:
    """Say whether all is well, what is next and what failed.

    Exits 1 when something is wrong: no daemon has been seen for five minutes, daemons run different files or
    versions, a file has a problem, a reminder is late, or a delivery died in the last seven days.
    """
    from alertd.cli.loading import settings_of

    health = finished(_read(settings_of(config, database)))
    match form:
        case Format.TEXT:
            from alertd.cli.show_status import status_page

            show(status_page(health))
        case Format.JSON:
            write_value(_facts(health))
        case Format.JSONL:
            write_rows([_facts(health)], form)
    if health.wrong:
        raise typer.Exit(1)


async def _read(settings: Settings) -> Health:
    from alertd import app
    from alertd.cli.loading import open_ledger

    async with open_ledger(settings) as book:
        return await health_of(book, app.now())


async def health_of(book: Ledger, now: datetime) -> Health:
    """All that is looked at, as it is at ``now``."""
    from alertd.cli.health import LOOKED_AT, SHOWN, Health
    from alertd.core.ledger import DeliveryState

    coming = tuple(await book.coming(LOOKED_AT))
    records = [await book.record(name) for name in {one.milestone for one in coming}]
    return Health(
        now=now,
        nodes=tuple(await book.nodes()),
        coming=coming,
        records={record.id: record for record in records if record is not None},
        ready=tuple(await book.deliveries(state=DeliveryState.READY, limit=SHOWN)),
        dead=tuple(await book.deliveries(state=DeliveryState.DEAD, limit=SHOWN)),
        counts=dict(await book.counts()),
        leader=await book.leader(),
        size=await book.size(),
    )


def _facts(health: Health) -> dict[str, object]:
    from alertd import __version__
    from alertd.core.facts import delivery_facts, utc_text

    return {
        "ok": not health.wrong,
        "wrong": list(health.wrong),
        "version": __version__,
        "at": utc_text(health.now),
        "nodes": [
            asdict(node) | {"started_at": utc_text(node.started_at), "seen_at": utc_text(node.seen_at)}
            for node in health.nodes
        ],
        "leader": health.leader,
        "next": [
            {
                "at": utc_text(one.at),
                "wake_at": utc_text(one.wake_at),
                "milestone": one.milestone,
                "offset": one.offset,
                "receiver": one.receiver,
                "reason": one.reason,
            }
            for one in health.coming
        ],
        "ready": [delivery_facts(*one) for one in health.ready],
        "dead": [delivery_facts(*one) for one in health.dead],
        "failing": {
            channel: {
                which: {"at": utc_text(one.at), "outcome": one.outcome, "reason": one.reason}
                for which, one in (("first", first), ("last", last))
            }
            for channel, (first, last) in health.failing.items()
        },
        "counts": dict(health.counts),
        "bytes": health.size,
    }
