"""The fingerprint of what plans are made of beside the timeline files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from zoneinfo import ZoneInfo

from alertd.core.config import Config
from alertd.definitions.config.read import Inherited

_NOT_PLANNED_BY = frozenset((
    "ack_expires",
    "fallback_receiver",
    "heartbeat",
    "keep",
    "network",
    "operator",
    "retry_for",
    "smtp",
    "web",
))  # fmt: skip
"""The fields of Config that no plan depends on. A new field counts until it is listed here."""

_NOT_COMPARED = frozenset(("options", "rate", "fingerprint"))
"""The fields of a notifier that no plan depends on. The options may hold secrets."""


def make_environment(config: Config, inherited: Inherited, *, version: str, zones: str) -> str:
    """Return the fingerprint of a configuration, a version of alertd and the time zone database.

    Args:
        zones: the fingerprint of the time zone database.
    """
    whole = hashlib.sha256()
    for part in (version, zones):
        whole.update(f"{part}\n".encode())
    for field in fields(config):
        if field.name not in _NOT_PLANNED_BY:
            for text in _describe(getattr(config, field.name)):
                whole.update(text.encode())
    for text in _describe(inherited):
        whole.update(text.encode())
    return whole.hexdigest()


def _describe(value: object) -> Iterator[str]:
    """Describe a value in the same way in each process. Sets and mappings are sorted."""
    if isinstance(value, ZoneInfo):
        yield f"zone {value.key};"
    elif isinstance(value, Enum):
        yield f"{type(value).__name__} {value.value!r};"
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__}("
        for field in fields(value):
            if field.compare and field.name not in _NOT_COMPARED:
                yield f"{field.name}="
                yield from _describe(getattr(value, field.name))
        yield ")"
    elif isinstance(value, Mapping):
        pairs = ("".join((*_describe(key), *_describe(inner))) for key, inner in value.items())
        yield from ("{", *sorted(pairs), "}")
    elif isinstance(value, AbstractSet):
        yield from ("<", *sorted("".join(_describe(item)) for item in value), ">")
    elif isinstance(value, (tuple, list)):
        yield "["
        for item in value:
            yield from _describe(item)
        yield "]"
    else:
        yield f"{value!r};"
