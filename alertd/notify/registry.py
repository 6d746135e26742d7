"""The notifier types that are installed: the entry points of the group ``alertd.notifiers``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from pydantic import BaseModel

from alertd.errors import AlertdError
from alertd.notify.base import NotifierClass

GROUP = "alertd.notifiers"
OWN = "alertd"


class NotifierUnusable(AlertdError):
    """An installed notifier cannot be imported or is none; fatal only where it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierType:
    """One installed type, not yet imported.

    Attributes:
        name: what ``type:`` in the configuration says.
        distribution: the package that brought it, and ``version`` its version.
    """

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint

    def load(self) -> NotifierClass:
        """Import it.

        Raises:
            NotifierUnusable: with the distribution, its version and what went wrong.
        """
        try:
            found = self.entry_point.load()
        except Exception as error:  # a stranger's module may raise anything
            raise self._unusable(f"{type(error).__name__}: {error}") from error
        options = getattr(found, "Options", None)
        if not (isinstance(options, type) and issubclass(options, BaseModel)):
            raise self._unusable("its Options is not a pydantic model")
        if not callable(found) or not hasattr(found, "send") or not hasattr(found, "aclose"):
            raise self._unusable("it has no send or no aclose")
        return cast(NotifierClass, found)

    def _unusable(self, why: str) -> NotifierUnusable:
        return NotifierUnusable(f"notifier type {self.name!r} of {self.origin} cannot be used: {why}")

    @property
    def origin(self) -> str:
        """``alertd-gotify 1.2.0``."""
        return f"{self.distribution} {self.version}".strip()


def brought() -> Sequence[NotifierType]:
    """Every type that a package brings, by name, the one that counts first; nothing is imported.

    Where two distributions bring the same name, alertd's own wins, then the first by the distribution's name:
    no package can slip itself between alertd and a receiver by being installed.
    """
    found = [_described(entry) for entry in entry_points(group=GROUP)]
    found.sort(key=lambda one: (one.name, one.distribution != OWN, one.distribution))
    return found


def installed() -> Mapping[str, NotifierType]:
    """Every installed type that counts, by its name, sorted; nothing is imported."""
    by_name: dict[str, NotifierType] = {}
    for one in brought():
        by_name.setdefault(one.name, one)
    return by_name


def _described(entry: EntryPoint) -> NotifierType:
    dist = entry.dist
    return NotifierType(
        name=entry.name,
        distribution=dist.name if dist else "an unknown package",
        version=dist.version if dist else "",
        entry_point=entry,
    )
