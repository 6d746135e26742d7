"""Load all files in a configuration folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from alertd.core.config import Definitions
from alertd.definitions.config.receivers import Options
from alertd.definitions.files import list_definition_files
from alertd.definitions.folder import DefinitionFolder
from alertd.definitions.limits import MAX_PROBLEMS_OF_ALL

__all__ = ["MAX_PROBLEMS_OF_ALL", "list_definition_files", "load", "load_whole"]


def load(
    folder: Path, options: Options, find: Callable[[str], Path] | None = None, kept: str = ""
) -> Definitions:
    """Read `alertd.yaml` and all timelines in ``folder``. Problems in the files are returned, not raised.

    A file with a problem is not used. If the configuration has a problem, no timeline is used and all files
    are in ``broken``, because the policies of the timelines are unknown.

    At most MAX_PROBLEMS problems of a file and MAX_PROBLEMS_OF_ALL problems of all files are returned. If
    more were found, a last problem says how many. ``broken`` always has all files with a problem.

    Args:
        options: the pydantic model for the options of each type of notifier.
        find: returns the path of a file that `alertd.yaml` names. By default, paths are relative to
            ``folder``.
        kept: the content of `alertd.yaml` that the ledger keeps, which is used if the file has a problem.
    """
    found = DefinitionFolder(folder, options, find_named=find, max_loaded=sys.maxsize)
    return load_whole(found, found.load(kept))


def load_whole(folder: DefinitionFolder, definitions: Definitions) -> Definitions:
    """Return what a folder has loaded, with all milestones in memory."""
    return replace(definitions, timelines=tuple(folder.read(timeline) for timeline in definitions.timelines))
