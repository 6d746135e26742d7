"""Loads settings, definitions and the ledger for commands, and resolves the names that users type."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from alertd.cli.paper import warn
from alertd.errors import DefinitionsError, LedgerUnavailable, UnknownMilestone, UnknownReceiver

if TYPE_CHECKING:
    from alertd.core.config import Config, Definitions
    from alertd.ports import Ledger, LedgerReader
    from alertd.system.settings import Settings

T = TypeVar("T")


def read_settings(config: Path | None, database: str | None = None) -> Settings:
    """Return the settings from the environment, overridden by the command line's options."""
    from alertd.system.settings import read_settings

    return read_settings(config=config, database=database)


def load_sound_definitions(settings: Settings) -> tuple[Definitions, Config]:
    """Load definitions that have no problem.

    Raises:
        DefinitionsError: a file has a problem. A plan without that file's milestones would look complete.
    """
    from alertd import app

    definitions = app.load_definitions(settings)
    if definitions.problems or definitions.config is None:
        raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
    return definitions, definitions.config


def load_usable_definitions(settings: Settings) -> tuple[Definitions, Config]:
    """Load the definitions of all files without a problem, and warn about each file with a problem.

    Raises:
        DefinitionsError: alertd.yaml itself has a problem.
    """
    from alertd import app

    definitions = app.load_definitions(settings)
    if definitions.config is None:
        raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
    for file in sorted(definitions.broken):
        warn(f"{file} has a problem and is left out; `alertd check` says which")
    return definitions, definitions.config


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine in a new event loop and return its result."""
    import asyncio

    return asyncio.run(work)


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the existing ledger, and close it at the end of the block. Its schema is not upgraded.

    Raises:
        SchemaTooOld: an older alertd uses the ledger, and the message names its version.
        LedgerUnavailable: the SQLite file does not exist. Only a daemon creates a ledger, because the answers
            of an empty ledger would be misleading.
    """
    from alertd import app
    from alertd.system.worker_threads import run_aside

    # The file system may hang, and the caller may have a time limit.
    is_there = await run_aside(lambda: has_ledger(settings))
    if settings.database_url().startswith("sqlite") and not is_there:
        raise LedgerUnavailable(
            f"there is no ledger at {_ledger_place(settings)}: "
            "no daemon has run on it yet; --database names another"
        )
    ledger = await app.open_ledger(settings, create=False)
    try:
        yield ledger
    finally:
        await ledger.close()


def _ledger_place(settings: Settings) -> str:
    """Return the absolute path of a SQLite ledger, or the URL of another one."""
    url = settings.database_url()
    path = url.partition(":///")[2]
    return str(Path(path).absolute()) if path else url


def has_ledger(settings: Settings) -> bool:
    """Whether the settings name a PostgreSQL server or a SQLite file that exists. No file is created."""
    scheme, _, path = settings.database_url().partition(":///")
    if scheme.startswith("postgres"):
        return True
    return scheme.startswith("sqlite") and Path(path).is_file()


async def list_unreadable_milestones(ledger: LedgerReader) -> list[str]:
    """List the ids of the milestones whose records could not be read by a call before this one."""
    return [row.key for row in await ledger.find_unreadable(0) if row.table == "milestone"]


def find_milestone(name: str, ids: Iterable[str]) -> str:
    """Return the full milestone id that ``name`` means: the id itself, or its part after the slash.

    Raises:
        UnknownMilestone: no id or several ids match; the message suggests the most similar id.
    """
    known = sorted(ids)
    if name in known:
        return name
    ending = [full_id for full_id in known if full_id.endswith("/" + name)]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise UnknownMilestone(f"{name!r} is in several timelines: {', '.join(ending[:5])}")
    advice = suggest_name(name, known) or "`alertd check` counts what is loaded"
    raise UnknownMilestone(f"no milestone {name!r}; {advice}")


def find_receiver(name: str, config: Config) -> str:
    """Return ``name`` if a receiver has that name.

    Raises:
        UnknownReceiver: no receiver has that name; the message suggests the most similar name.
    """
    if name in config.receivers:
        return name
    advice = (
        suggest_name(name, config.receivers) or f"there is {', '.join(sorted(config.receivers)) or 'none'}"
    )
    raise UnknownReceiver(f"no receiver {name!r}; {advice}")


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean ...?`` with the most similar known name, or "" if no name is similar."""
    # A user may omit the timeline, so the part after the slash is compared too.
    by_text: dict[str, str] = {}
    for known_name in known:
        by_text.setdefault(known_name.lower(), known_name)
        by_text.setdefault(known_name.rpartition("/")[2].lower(), known_name)
    found = get_close_matches(name[:200].lower(), by_text, n=1, cutoff=0.6)
    return f"did you mean {by_text[found[0]]}?" if found else ""


def resolve_person(by: str | None) -> str:
    """Return the name of the acting person: ``by``, else the user who is logged in.

    Raises:
        typer.BadParameter: no name is known.
    """
    name = by or os.environ.get("SUDO_USER") or os.environ.get("USER") or ""
    if not name.strip():
        raise typer.BadParameter("the logged-in user's name is unknown; give your name", param_hint="--by")
    return name.strip()
