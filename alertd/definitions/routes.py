"""Read the tree of routes, under Alertmanager's keys and with its rules for the root."""

from __future__ import annotations

from collections.abc import Mapping

from alertd.core.interval import NamedInterval
from alertd.core.matcher import parse_matcher
from alertd.core.route import BY_ALL_LABELS, Route
from alertd.definitions.keys import LABEL_NAME, NAME
from alertd.definitions.keys_config import ROOT_ROUTE, ROUTE
from alertd.definitions.nodes import Node
from alertd.definitions.reader import Reader, shown


def root_route(
    reader: Reader, node: Node, receivers: Mapping[str, object], intervals: Mapping[str, NamedInterval]
) -> Route:
    """The root: it takes everything and sends at all times, so it has neither matchers nor intervals."""
    values = reader.mapping(node, ROOT_ROUTE) or {}
    return _Routes(reader, receivers, intervals).route(values, "route")


class _Routes:
    def __init__(
        self, reader: Reader, receivers: Mapping[str, object], intervals: Mapping[str, NamedInterval]
    ) -> None:
        self._reader = reader
        self._receivers = {name: name for name in receivers}
        self._intervals = dict(intervals)

    def route(self, values: Mapping[str, Node], path: str) -> Route:
        reader = self._reader
        receiver = (
            reader.one_of(values["receiver"], self._receivers, "receiver") if "receiver" in values else None
        )
        matchers = [reader.parsed(item, parse_matcher) for item in self._items(values, "matchers")]
        continues = reader.flag(values["continue"]) if "continue" in values else None
        routes = [
            self.route(reader.mapping(item, ROUTE) or {}, f"{path}.routes[{index}]")
            for index, item in enumerate(self._items(values, "routes"))
        ]
        return Route(
            receiver=receiver or "",
            matchers=tuple(matcher for matcher in matchers if matcher is not None),
            group_by=self._group_by(values["group_by"]) if "group_by" in values else None,
            continue_=bool(continues),
            mute=self._named(values, "mute_time_intervals"),
            active=self._named(values, "active_time_intervals"),
            routes=tuple(routes),
            path=path,
        )

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
