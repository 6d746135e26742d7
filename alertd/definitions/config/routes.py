"""Read the tree of routes, under Alertmanager's keys and with its rules for the root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from alertd.core.config import Receiver
from alertd.core.routing.digest import Digest
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import BY_ALL_LABELS, Quiet, Route
from alertd.core.time.interval import NamedInterval
from alertd.definitions.config.digests import digest
from alertd.definitions.config.keys import ROOT_ROUTE, ROUTE
from alertd.definitions.reading.keys import LABEL_NAME, NAME
from alertd.definitions.reading.nodes import Node
from alertd.definitions.reading.reader import Reader, shown


def root_route(
    reader: Reader,
    node: Node,
    receivers: Mapping[str, Receiver],
    intervals: Mapping[str, NamedInterval],
    default: ZoneInfo,
) -> Route:
    """The root: it takes everything and sends at all times, so it has neither matchers nor intervals.

    Args:
        default: the zone of digests whose receiver has none of its own.
    """
    values = reader.mapping(node, ROOT_ROUTE) or {}
    root = _Routes(reader, receivers, intervals, default).route(values, "route", "")
    return replace(root, quiet=quiet_of(receivers))


def quiet_of(receivers: Mapping[str, Receiver]) -> dict[str, Quiet]:
    """The quiet hours of the receivers that have some, by name."""
    return {one.name: one.quiet for one in receivers.values() if one.quiet is not None}


class _Routes:
    def __init__(
        self,
        reader: Reader,
        receivers: Mapping[str, Receiver],
        intervals: Mapping[str, NamedInterval],
        default: ZoneInfo,
    ) -> None:
        self._reader = reader
        self._receivers = receivers
        self._intervals = dict(intervals)
        self._default = default

    def route(self, values: Mapping[str, Node], path: str, parent: str) -> Route:
        """``parent``: the name of the receiver that it inherits."""
        reader = self._reader
        receiver = None
        if "receiver" in values:
            names = {name: name for name in self._receivers}
            receiver = reader.one_of(values["receiver"], names, "receiver")
        matchers = [reader.parsed(item, parse_matcher) for item in self._items(values, "matchers")]
        continues = reader.flag(values["continue"]) if "continue" in values else None
        routes = [
            self.route(reader.mapping(item, ROUTE) or {}, f"{path}.routes[{index}]", receiver or parent)
            for index, item in enumerate(self._items(values, "routes"))
        ]
        return Route(
            receiver=receiver or "",
            matchers=tuple(matcher for matcher in matchers if matcher is not None),
            group_by=self._group_by(values["group_by"]) if "group_by" in values else None,
            continue_=bool(continues),
            mute=self._named(values, "mute_time_intervals"),
            active=self._named(values, "active_time_intervals"),
            digest=self._digest(values, receiver or parent),
            routes=tuple(routes),
            path=path,
        )

    def _digest(self, values: Mapping[str, Node], receiver: str) -> Digest | None:
        if "digest" not in values:
            return None
        for key in ("mute_time_intervals", "active_time_intervals"):
            if key in values:
                advice = "the digest says when it sends; remove one of the two"
                self._reader.refuse(values[key], f"{key} beside digest; {advice}")
        known = self._receivers.get(receiver)
        return digest(self._reader, values["digest"], (known and known.zone) or self._default)

    def _items(self, values: Mapping[str, Node], key: str) -> list[Node]:
        return self._reader.items(values[key], key) if key in values else []

    def _named(self, values: Mapping[str, Node], key: str) -> tuple[NamedInterval, ...]:
        found = [
            self._reader.one_of(item, self._intervals, "time interval") for item in self._items(values, key)
        ]
        return tuple(one for one in found if one is not None)

    def _group_by(self, node: Node) -> tuple[str, ...]:
        names: list[str] = []
        for item in self._reader.items(node, "the labels of group_by", 100):
            name = self._reader.text(item, NAME)
            if name is None:
                continue
            if name != BY_ALL_LABELS and not LABEL_NAME.fullmatch(name):
                advice = "it has letters, digits and underscores, or is ... alone"
                self._reader.refuse(item, f"{shown(name)}: not a label's name; {advice}")
            elif name in names:
                self._reader.refuse(item, f"{shown(name)}: this label is in group_by twice; remove one")
            else:
                names.append(name)
        if BY_ALL_LABELS in names and len(names) > 1:
            self._reader.refuse(node, f"{BY_ALL_LABELS!r}: it stands for every label; write it alone")
        return tuple(names)
