"""Loads the definition files of a configuration folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from alertd.core.config import Definitions, list_milestones
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.relative import resolve
from alertd.system.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from alertd.definitions.folder import DefinitionFolder


class OptionModels(Mapping[str, "type[BaseModel]"]):
    """The models of the options of the installed notifiers, by type.

    A notifier is imported when its model is looked up, so that the daemon has only those in memory that its
    configuration uses. The iteration imports all. A notifier that cannot be used has no model. This is an
    error only in a configuration that uses the type, and is reported there.
    """

    def __init__(self) -> None:
        from alertd.notify.registry import list_usable

        self._types = list_usable()

    def __getitem__(self, name: str) -> type[BaseModel]:
        from alertd.notify.registry import NotifierUnusable

        try:
            return self._types[name].load().Options
        except NotifierUnusable as error:
            raise KeyError(name) from error

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._types if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def load_definitions(settings: Settings) -> Definitions:
    """Load all files of the configuration folder, with every problem in them."""
    return make_loader(settings.config)()


class Loader(Protocol):
    """Loads a configuration folder.

    ``kept`` is the content of ``alertd.yaml`` that the ledger keeps, which is used if the file has a problem.
    """

    def __call__(self, kept: str = "") -> Definitions: ...


def make_loader(folder: Path) -> Loader:
    """Return a function that loads the folder. It parses only files that have changed since its last call.

    If the time zone database has changed, it parses all files, because what it read has the old rules.
    """
    from alertd.definitions.load import load_whole

    found, load_outlines = open_folder(folder, max_loaded=sys.maxsize)

    def load_folder(kept: str = "") -> Definitions:
        return load_whole(found, load_outlines(kept))

    return load_folder


def open_folder(folder: Path, *, max_loaded: int | None = None) -> tuple[DefinitionFolder, Loader]:
    """Return a configuration folder, and a function that loads it.

    Args:
        max_loaded: how many milestones a load leaves in memory; by default, few of them.
    """
    from alertd.definitions.folder import MAX_LOADED, DefinitionFolder
    from alertd.system.secrets import file_paths
    from alertd.system.zones import ZoneRules, hash_zones

    rules = ZoneRules()
    found = DefinitionFolder(
        folder,
        OptionModels(),
        find_named=file_paths(folder, os.environ),
        hash_zones=hash_zones,
        max_loaded=MAX_LOADED if max_loaded is None else max_loaded,
    )

    def load(kept: str = "") -> Definitions:
        if rules.refresh():
            found.forget()
        return found.load(kept)

    return found, load


def resolve_milestones(found: Definitions, done: Mapping[str, date] | None = None) -> dict[str, Milestone]:
    """Resolve relative claims. Returns the milestones by full id; recurring milestones are not expanded."""
    return resolve(list_milestones(found.timelines), done or {})
