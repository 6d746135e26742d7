"""Read `alertd.yaml` into a Config and the defaults that timelines inherit."""

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
from alertd.core.time.instant import UTC_ZONE
from alertd.definitions.config.kept import make_kept_text
from alertd.definitions.config.keys import CONFIG, MAX_ALLOWED, NETWORK
from alertd.definitions.config.policies import read_policies
from alertd.definitions.config.receivers import CONSOLE, Options, make_console_receiver, read_receivers
from alertd.definitions.config.routes import collect_quiet_hours, read_root_route
from alertd.definitions.config.smtp import read_smtp
from alertd.definitions.config.times import read_calendars, read_time_intervals
from alertd.definitions.config.web import read_web
from alertd.definitions.reading.keys import PATH
from alertd.definitions.reading.nodes import Mapping as MappingNode
from alertd.definitions.reading.nodes import Node, Scalar
from alertd.definitions.reading.reader import Reader, TooManyProblems
from alertd.definitions.reading.terms import read_link, read_span, read_zone
from alertd.definitions.reading.yaml import decode, read_yaml


def read_network(reader: Reader, node: Node) -> Network:
    """Read the section ``network``: ``internal``, ``public``, or a mapping with more details.

    A value with a problem is replaced by its default.
    """
    if isinstance(node, Scalar) and node.text:
        return Network(policy=reader.read_choice(node, Reach) or Reach.INTERNAL)
    values = reader.read_mapping(node, NETWORK) or {}
    policy = reader.read_choice(values["policy"], Reach) if "policy" in values else None
    allow = []
    if "allow" in values:
        allow = [
            reader.parse(item, parse_block)
            for item in reader.read_items(values["allow"], "allow", MAX_ALLOWED)
        ]
        if policy is Reach.INTERNAL:
            # The author probably believes that the list restricts connections, which it does not.
            advice = "write policy: public, or remove it"
            reader.refuse(values["allow"], f"allow opens nothing under policy: internal; {advice}")
    return Network(
        policy=policy or Reach.INTERNAL, allow=tuple(block for block in allow if block is not None)
    )


NAME = "alertd.yaml"

_MISSING = "the file is missing; restore it, or, to run with the defaults, write a file that contains only {}"
_EMPTY = "the file has no content; restore it, or, to run with the defaults, write {} into it"

_SECOND = timedelta(seconds=1)
_NOTHING = timedelta(0)
_KEEP = timedelta(days=90)
"""The shortest time that withdrawn milestones are kept. A milestone that returns after it counts as new."""

_SPANS = {
    "catch_up": _NOTHING,
    "damping": _NOTHING,
    "retry_for": _SECOND,
    "ack_expires": _SECOND,
    "keep": _KEEP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """The defaults that timelines inherit from the configuration.

    Attributes:
        zone: the time zone of timelines that name none.
        policies: the policies by name. A policy with a problem is included, so that timelines that refer to
            it get no further problem.
        calendars: the work calendars by name.
    """

    zone: ZoneInfo = UTC_ZONE
    policies: Mapping[str, Policy] = field(default_factory=lambda: {"default": Policy()})
    calendars: Mapping[str, WorkCalendar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRead:
    """The result of reading `alertd.yaml`; ``config`` is None if there is a problem.

    Attributes:
        unconfigured: says that the file is missing or has no content, so that ``config`` holds only defaults;
            None when the file has content.
        kept_text: the content of the file for the ledger to keep; "" if it cannot be kept.
    """

    config: Config | None
    inherited: Inherited
    problems: tuple[Problem, ...] = ()
    unconfigured: Problem | None = None
    kept_text: str = field(default="", repr=False)


def read_config(raw: bytes | None, options: Options, find: Callable[[str], Path] | None = None) -> ConfigRead:
    """Read the bytes of `alertd.yaml`.

    Args:
        raw: the content of the file; None if the file is missing. Without content, the configuration is the
            default one.
        options: the pydantic model for the options of each type of notifier.
        find: returns the path of a file that the configuration names, such as a template. If it is None, such
            files are not checked.
    """
    text, problems = decode(raw or b"", NAME)
    node: Node | None = None
    unconfigured: Problem | None = None
    if not problems:
        node, problems = read_yaml(text, NAME)
    if node is None:
        if problems:
            return ConfigRead(config=None, inherited=Inherited(), problems=tuple(problems))
        node = MappingNode(1, 1)
        unconfigured = Problem(file=NAME, line=1, column=1, message=_MISSING if raw is None else _EMPTY)
    reader = Reader(NAME, find)
    reader.problems.extend(problems)
    config: Config | None = None
    inherited = Inherited()
    try:
        values = reader.read_mapping(node, CONFIG) or {}
        inherited = _read_inherited(reader, values)
        config = _read_values(reader, values, inherited, options)
    except TooManyProblems:
        pass
    if reader.problems:
        config = None
    return ConfigRead(
        config=config,
        inherited=inherited,
        problems=tuple(reader.problems),
        unconfigured=unconfigured,
        kept_text=make_kept_text(node, config) if config is not None and unconfigured is None else "",
    )


def _read_inherited(reader: Reader, values: Mapping[str, Node]) -> Inherited:
    found = read_zone(reader, values["timezone"]) if "timezone" in values else None
    known = read_calendars(reader, values.get("calendars"))
    read = read_policies(reader, values["policies"], known) if "policies" in values else {"default": Policy()}
    return Inherited(zone=found or UTC_ZONE, policies=read, calendars=known)


def _read_values(
    reader: Reader, values: Mapping[str, Node], inherited: Inherited, options: Options
) -> Config:
    read: dict[str, Any] = {}
    for key, least in _SPANS.items():
        if key in values and (length := read_span(reader, values[key], least=least)) is not None:
            read[key] = length
    if "smtp" in values:
        read["smtp"] = read_smtp(reader, values["smtp"])
    if "network" in values:
        read["network"] = read_network(reader, values["network"])
    if "web" in values:
        read["web"] = read_web(reader, values["web"])
    read["heartbeat"] = _read_heartbeat(reader, values)
    if "receivers" in values:
        known = read_receivers(reader, values["receivers"], options, inherited.zone)
    else:
        known = {CONSOLE: make_console_receiver(options)}
    for key in ("fallback_receiver", "operator"):
        if key in values:
            read[key] = reader.look_up(values[key], {name: name for name in known}, "receiver") or ""
    route = _read_route(reader, values, known, inherited.zone)
    return Config(zone=inherited.zone, policies=inherited.policies, route=route, receivers=known, **read)


def _read_heartbeat(reader: Reader, values: Mapping[str, Node]) -> Heartbeat | None:
    if "heartbeat_url" in values and "heartbeat_url_file" in values:
        reader.refuse(values["heartbeat_url_file"], "heartbeat_url and heartbeat_url_file exclude each other")
    url = read_link(reader, values["heartbeat_url"]) if "heartbeat_url" in values else None
    file = reader.read_text(values["heartbeat_url_file"], PATH) if "heartbeat_url_file" in values else None
    return Heartbeat(url=url or "", url_file=file or "") if url or file else None


def _read_route(
    reader: Reader, values: Mapping[str, Node], known: Mapping[str, Receiver], default: ZoneInfo
) -> Route:
    """Return the root route.

    Without a ``route`` in the file, the only receiver gets everything, grouped by timeline.
    """
    intervals = {}
    if "time_intervals" in values:
        intervals = read_time_intervals(reader, values["time_intervals"], default)
    if "route" in values:
        return read_root_route(reader, values["route"], known, intervals, default)
    if len(known) != 1 and not reader.problems:
        node = values["receivers"]
        reader.refuse(node, f"{len(known)} receivers and no route; add a route that says who is told what")
    only = next(iter(known), CONSOLE)
    return Route(receiver=only, group_by=("timeline",), quiet=collect_quiet_hours(known), path="route")
