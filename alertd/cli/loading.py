"""What commands work on: settings, definitions, the ledger; and names that people type, found or refused."""

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
    from alertd.ports import Ledger
    from alertd.system.settings import Settings

T = TypeVar("T")


def settings_of(config: Path | None, database: str | None = None) -> Settings:
    """The environment, and over it what the command line says."""
    from alertd.system.settings import settings

    return settings(config=config, database=database)


def sound_definitions(settings: Settings) -> tuple[Definitions, Config]:
    """Definitions without a problem.

    Raises:
        DefinitionsError: there is one; a plan that leaves a file out would be taken for the whole.
    """
    from alertd import app

    definitions = app.definitions(settings)
    if definitions.problems or definitions.config is None:
        raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
    return definitions, definitions.config


def usable_definitions(settings: Settings) -> tuple[Definitions, Config]:
    """Definitions as far as they can be read; a file with a problem is warned of and left out.

    Raises:
        DefinitionsError: the configuration itself has a problem.
    """
    from alertd import app

    definitions = app.definitions(settings)
    if definitions.config is None:
        raise DefinitionsError(tuple(str(problem) for problem in definitions.problems))
    for file in sorted(definitions.broken):
        warn(f"{file} has a problem and is left out; `alertd check` says which")
    return definitions, definitions.config


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, run to its end."""
    import asyncio

    return asyncio.run(work)


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger that is there, closed again at the end.

    Raises:
        LedgerUnavailable: there is none. Only a daemon makes one: an empty one would look like an answer.
    """
    from alertd import app

    if settings.database_url().startswith("sqlite") and not has_ledger(settings):
        raise LedgerUnavailable(
            f"there is no ledger at {_place(settings)}: no daemon has run on it yet; --database names another"
        )
    ledger = await app.ledger(settings)
    try:
        yield ledger
    finally:
        await ledger.close()


def _place(settings: Settings) -> str:
    """Where a SQLite ledger is looked for."""
    url = settings.database_url()
    path = url.partition(":///")[2]
    return str(Path(path).absolute()) if path else url


def has_ledger(settings: Settings) -> bool:
    """Whether there is one already: a SQLite file, which looking must not make, or a server that is named."""
    scheme, _, path = settings.database_url().partition(":///")
    if scheme.startswith("postgres"):
        return True
    return scheme.startswith("sqlite") and Path(path).is_file()


def find_milestone(name: str, ids: Iterable[str]) -> str:
    """The full id that ``name`` means.

    Raises:
        UnknownMilestone: none or several; with the nearest that there is.
    """
    known = sorted(ids)
    if name in known:
        return name
    ending = [one for one in known if one.endswith("/" + name)]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise UnknownMilestone(f"{name!r} is in several timelines: {', '.join(ending[:5])}")
    advice = nearest(name, known) or "`alertd check` counts what is loaded"
    raise UnknownMilestone(f"no milestone {name!r}; {advice}")


def find_receiver(name: str, config: Config) -> str:
    """``name`` itself, when a receiver has it.

    Raises:
        UnknownReceiver: with the nearest that there is.
    """
    if name in config.receivers:
        return name
    advice = nearest(name, config.receivers) or f"there is {', '.join(sorted(config.receivers)) or 'none'}"
    raise UnknownReceiver(f"no receiver {name!r}; {advice}")


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean ...?``, or "" when nothing is near."""
    # Someone who forgets the timeline is compared with the part after the slash too.
    by_text: dict[str, str] = {}
    for one in known:
        by_text.setdefault(one.lower(), one)
        by_text.setdefault(one.rpartition("/")[2].lower(), one)
    found = get_close_matches(name[:200].lower(), by_text, n=1, cutoff=0.6)
    return f"did you mean {by_text[found[0]]}?" if found else ""


def person(by: str | None) -> str:
    """Who says so: the option, else whoever is logged in."""
    name = by or os.environ.get("SUDO_USER") or os.environ.get("USER") or ""
    if not name.strip():
        raise typer.BadParameter("nobody is logged in by name; say who says so", param_hint="--by")
    return name.strip()
