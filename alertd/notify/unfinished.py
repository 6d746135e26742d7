"""Remembers how far a delivery has come that is sent in parts, so that a retry sends only the rest."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

MAX_DELIVERIES = 1_000

T = TypeVar("T")


class Unfinished(Generic[T]):
    """The progress of each unfinished delivery, by the delivery's id.

    The progress is kept in memory: after a restart, or on another node, a retry starts from the beginning.
    Above :data:`MAX_DELIVERIES` deliveries, the oldest progress is dropped.
    """

    def __init__(self) -> None:
        self._progress: OrderedDict[str, T] = OrderedDict()

    def __contains__(self, delivery: str) -> bool:
        return delivery in self._progress

    def get(self, delivery: str) -> T | None:
        """Return the progress of the delivery, or None when there is none."""
        return self._progress.get(delivery)

    def keep(self, delivery: str, progress: T) -> None:
        """Replace the progress of the delivery."""
        self._progress[delivery] = progress
        if len(self._progress) > MAX_DELIVERIES:
            self._progress.popitem(last=False)

    def forget(self, delivery: str) -> None:
        """Drop the progress of a delivery that is finished."""
        self._progress.pop(delivery, None)
