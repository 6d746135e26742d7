"""Finds the timeline that ships with alertd: in the package, or beside it in a checkout."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import alertd
from alertd.errors import AlertdError

FILE = "iraq-coalition-withdrawal.yaml"


class TimelineMissing(AlertdError):
    """The package was built without its timeline."""


def shipped_timeline() -> Traversable:
    """The file. In a wheel it lies in the package (``pyproject.toml`` puts it there), else in ``config/``.

    Raises:
        TimelineMissing: it is in neither place.
    """
    packaged = files("alertd.demo") / "milestones" / FILE
    if packaged.is_file():
        return packaged
    beside = Path(alertd.__file__).parents[1] / "config" / "milestones" / FILE
    if beside.is_file():
        return beside
    raise TimelineMissing(f"{FILE}: neither in the package nor in {beside.parent}")
