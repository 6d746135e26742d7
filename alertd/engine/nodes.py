"""Whether the nodes that are alive run the same: the same definitions, and the same alertd."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertd.core.words import listing
from alertd.ports import NodeReport

LIVE_FOR = timedelta(minutes=3)
"""A node that has said nothing for longer is compared with nobody; one that has stopped says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Live nodes that do not run the same.

    Attributes:
        what: ``definitions`` or ``versions``.
        by: what they run, a digest of the files or a version, with the names of the nodes that run it.
    """

    what: str
    by: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        """A sentence without its full stop."""
        parts = [
            f"{listing(nodes)} {'run' if len(nodes) > 1 else 'runs'} {value}" for value, nodes in self.by
        ]
        return f"the daemons run different {self.what}: {'; '.join(parts)}"


def differences(nodes: Iterable[NodeReport], now: datetime) -> tuple[Difference, ...]:
    """Each way in which the live nodes differ; () when all run the same."""
    live = [node for node in nodes if not node.stopped and now - node.seen_at < LIVE_FOR]
    found = (
        _difference("definitions", live, lambda node: node.config_id[:12]),
        _difference("versions", live, lambda node: node.version),
    )
    return tuple(one for one in found if one is not None)


def _difference(
    what: str, nodes: Iterable[NodeReport], value_of: Callable[[NodeReport], str]
) -> Difference | None:
    by: dict[str, list[str]] = {}
    for node in nodes:
        # One that has loaded nothing yet differs from nobody.
        if value_of(node):
            by.setdefault(value_of(node), []).append(node.node)
    if len(by) < 2:
        return None
    return Difference(what=what, by=tuple((value, tuple(sorted(by[value]))) for value in sorted(by)))
