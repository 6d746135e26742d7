"""Finds the installed notifier types: the entry points in the group ``alertd.notifiers``."""

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
    """An installed notifier cannot be imported or breaks the contract. Only a receiver that uses it fails.

    Attributes:
        why: the cause alone, without the name of the notifier.
    """

    def __init__(self, what: str, why: str) -> None:
        self.why = why
        super().__init__(f"{what}: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierType:
    """One installed type, which is imported only when it is used.

    Attributes:
        name: the value of ``type:`` in the configuration.
        distribution: the package that provides the type.
        version: the package's version; "" if unknown.
    """

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint

    def load(self) -> NotifierClass:
        """Import the notifier class.

        Raises:
            NotifierUnusable: the import failed, or the class breaks the contract. The text names the
                distribution, its version and the reason.
        """
        try:
            found = self.entry_point.load()
        except Exception as error:  # a third-party module may raise anything
            raise self._unusable(f"{type(error).__name__}: {error}") from error
        options = getattr(found, "Options", None)
        if not (isinstance(options, type) and issubclass(options, BaseModel)):
            raise self._unusable("its Options is not a pydantic model")
        if not callable(found) or not hasattr(found, "send") or not hasattr(found, "aclose"):
            raise self._unusable("it has no send or no aclose")
        return cast(NotifierClass, found)

    def _unusable(self, why: str) -> NotifierUnusable:
        return NotifierUnusable(f"notifier type {self.name!r} of {self.origin} cannot be used", why)

    @property
    def origin(self) -> str:
        """The package and its version, such as ``alertd-gotify 1.2.0``."""
        return f"{self.distribution} {self.version}".strip()


def list_all() -> Sequence[NotifierType]:
    """Return all types of all packages, sorted by name. Nothing is imported.

    If two packages provide the same name, alertd's own type comes first, then the packages in alphabetical
    order. The first type is used: a package that is merely installed cannot replace one of alertd's types.
    """
    found = [_describe(entry) for entry in entry_points(group=GROUP)]
    found.sort(key=lambda kind: (kind.name, kind.distribution != OWN, kind.distribution))
    return found


def list_usable() -> Mapping[str, NotifierType]:
    """Return the types that receivers can use, by name and sorted. Nothing is imported."""
    by_name: dict[str, NotifierType] = {}
    for kind in list_all():
        by_name.setdefault(kind.name, kind)
    return by_name


def _describe(entry: EntryPoint) -> NotifierType:
    dist = entry.dist
    return NotifierType(
        name=entry.name,
        distribution=dist.name if dist else "an unknown package",
        version=dist.version if dist else "",
        entry_point=entry,
    )
