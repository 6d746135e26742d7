"""Loads the definition files of a configuration folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from alertd.core.config import Definitions
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.relative import resolve
from alertd.system.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel


def load_option_models() -> dict[str, type[BaseModel]]:
    """Import the installed notifiers. Returns the model of each one's options, by type."""
    from alertd.notify.registry import NotifierUnusable, list_usable

    models = {}
    for name, kind in list_usable().items():
        try:
            models[name] = kind.load().Options
        except NotifierUnusable:
            # This is an error only in a configuration that uses the type, and is reported there.
            continue
    return models


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
    from alertd.definitions.load import Cache, forget, load
    from alertd.system.secrets import file_paths
    from alertd.system.zones import ZoneRules

    models = load_option_models()
    cache: Cache = {}
    find = file_paths(folder, os.environ)
    rules = ZoneRules()

    def load_folder(kept: str = "") -> Definitions:
        if rules.refresh():
            forget(cache)
        return load(folder, models, cache, find, kept)

    return load_folder


def resolve_milestones(found: Definitions, done: Mapping[str, date] | None = None) -> dict[str, Milestone]:
    """Resolve relative claims. Returns the milestones by full id; recurring milestones are not expanded."""
    by_id = {milestone.id: milestone for timeline in found.timelines for milestone in timeline.milestones}
    return resolve(by_id, done or {})
