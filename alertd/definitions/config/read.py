"""Read `alertd.yaml` into a Config, and into what timelines take from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from alertd.core.config import Config, Heartbeat, Problem, Receiver
from alertd.core.milestones.policy import Policy, WorkCalendar
from alertd.core.network import Network, Reach, parse_block
from alertd.core.routing.route import Route
from alertd.definitions.config.keys import CONFIG, MAX_ALLOWED, NETWORK
from alertd.definitions.config.policies import policies
from alertd.definitions.config.receivers import CONSOLE, Options, console_receiver, receivers
from alertd.definitions.config.routes import quiet_of, root_route
from alertd.definitions.config.smtp import smtp
from alertd.definitions.config.times import calendars, time_intervals
from alertd.definitions.config.web import web
from alertd.definitions.reading.keys import PATH
from alertd.definitions.reading.nodes import Mapping as MappingNode
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, TooManyProblems
from alertd.definitions.reading.terms import link, span, zone
from alertd.definitions.reading.yaml import decode, read_yaml


def network(reader: Reader, node: Node) -> Network:
    """``internal``, ``public``, or a mapping that says more; what has a problem is refused by the reader."""
    if isinstance(node, Scalar) and node.text:
        return Network(policy=reader.choice(node, Reach) or Reach.INTERNAL)
    values = reader.mapping(node, NETWORK) or {}
    policy = reader.choice(values["policy"], Reach) if "policy" in values else None
    allow = []
    if "allow" in values:
        allow = [
            reader.parsed(one, parse_block) for one in reader.items(values["allow"], "allow", MAX_ALLOWED)
        ]
        if policy is Reach.INTERNAL:
            # Who writes it there believes that it closes something.
            advice = "write policy: public, or remove it"
            reader.refuse(values["allow"], f"allow opens nothing under policy: internal; {advice}")
    return Network(policy=policy or Reach.INTERNAL, allow=tuple(one for one in allow if one is not None))


NAME = "alertd.yaml"

_SECOND = timedelta(seconds=1)
_NOTHING = timedelta(0)
_KEEP = timedelta(days=90)
"""A milestone that comes back later than this is new to everybody."""

_SPANS = {
    "catch_up": _NOTHING,
    "damping": _NOTHING,
    "retry_for": _SECOND,
    "ack_expires": _SECOND,
    "keep": _KEEP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """What timelines take from the configuration.

    Attributes:
        policies: by name. A policy with a problem is there too, so that nobody else is blamed for it.
    """

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    policies: Mapping[str, Policy] = field(default_factory=lambda: {"default": Policy()})
    calendars: Mapping[str, WorkCalendar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRead:
    """What came of reading: ``config`` is None when there is a problem."""

    config: Config | None
    inherited: Inherited
    problems: tuple[Problem, ...] = ()


def read_config(raw: bytes | None, options: Options, find: Callable[[str], Path] | None = None) -> ConfigRead:
    """Read the bytes of `alertd.yaml`; None or an empty file is a configuration of defaults.

    Args:
        find: where a file is that it names, such as a template; None: none is looked at.
    """
    text, problems = decode(raw or b"", NAME)
    node: Node | None = None
    if not problems:
        node, problems = read_yaml(text, NAME)
    if node is None:
        if problems:
            return ConfigRead(config=None, inherited=Inherited(), problems=tuple(problems))
        node = MappingNode(1, 1)
    reader = Reader(NAME, find)
    reader.problems.extend(problems)
    config: Config | None = None
    inherited = Inherited()
    try:
        values = reader.mapping(node, CONFIG) or {}
        inherited = _inherited(reader, values)
        config = _config(reader, values, inherited, options)
    except TooManyProblems:
        pass
    if reader.problems:
        config = None
    return ConfigRead(config=config, inherited=inherited, problems=tuple(reader.problems))


def _inherited(reader: Reader, values: Mapping[str, Node]) -> Inherited:
    found = zone(reader, values["timezone"]) if "timezone" in values else None
    known = calendars(reader, values.get("calendars"))
    read = policies(reader, values["policies"], known) if "policies" in values else {"default": Policy()}
    return Inherited(zone=found or ZoneInfo("UTC"), policies=read, calendars=known)


def _config(reader: Reader, values: Mapping[str, Node], inherited: Inherited, options: Options) -> Config:
    read: dict[str, Any] = {}
    for key, least in _SPANS.items():
        if key in values and (length := span(reader, values[key], least=least)) is not None:
            read[key] = length
    if "smtp" in values:
        read["smtp"] = smtp(reader, values["smtp"])
    if "network" in values:
        read["network"] = network(reader, values["network"])
    if "web" in values:
        read["web"] = web(reader, values["web"])
    read["heartbeat"] = _heartbeat(reader, values)
    if "receivers" in values:
        known = receivers(reader, values["receivers"], options, inherited.zone)
    else:
        known = {CONSOLE: console_receiver(options)}
    for key in ("fallback_receiver", "operator"):
        if key in values:
            read[key] = reader.one_of(values[key], {name: name for name in known}, "receiver") or ""
    route = _route(reader, values, known, inherited.zone)
    return Config(zone=inherited.zone, policies=inherited.policies, route=route, receivers=known, **read)


def _heartbeat(reader: Reader, values: Mapping[str, Node]) -> Heartbeat | None:
    if "heartbeat_url" in values and "heartbeat_url_file" in values:
        reader.refuse(values["heartbeat_url_file"], "heartbeat_url and heartbeat_url_file exclude each other")
    url = link(reader, values["heartbeat_url"]) if "heartbeat_url" in values else None
    file = reader.text(values["heartbeat_url_file"], PATH) if "heartbeat_url_file" in values else None
    return Heartbeat(url=url or "", url_file=file or "") if url or file else None


def _route(
    reader: Reader, values: Mapping[str, Node], known: Mapping[str, Receiver], default: ZoneInfo
) -> Route:
    """The root route; without one everything goes to the only receiver, one message a timeline."""
    intervals = {}
    if "time_intervals" in values:
        intervals = time_intervals(reader, values["time_intervals"], default)
    if "route" in values:
        return root_route(reader, values["route"], known, intervals, default)
    if len(known) != 1 and not reader.problems:
        node = values["receivers"]
        reader.refuse(node, f"{len(known)} receivers and no route; add a route that says who is told what")
    only = next(iter(known), CONSOLE)
    return Route(receiver=only, group_by=("timeline",), quiet=quiet_of(known), path="route")
