"""Make the content of `alertd.yaml` that the ledger keeps, to start with while the file is broken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, SecretStr

from alertd.core.config import Config
from alertd.definitions.reading.nodes import Mapping as MappingNode
from alertd.definitions.reading.nodes import Node, Scalar, Sequence
from alertd.definitions.reading.yaml import read_yaml


def make_kept_text(node: Node, config: Config) -> str:
    """Return the content of `alertd.yaml` as JSON, which is YAML too; "" if it cannot be kept.

    A configuration with a secret in it is not kept, because whoever can read a ledger or its backup could
    read the secret. Comments are left out, because they may quote a former secret.
    """
    if _holds_secret(config):
        return ""
    text = json.dumps(_convert(node), ensure_ascii=False)
    again, problems = read_yaml(text, "")
    return text if not problems and again is not None and _convert(again) == _convert(node) else ""


def _holds_secret(config: Config) -> bool:
    if config.heartbeat is not None and config.heartbeat.url:
        return True
    options = (spec.options for receiver in config.receivers.values() for spec in receiver.notifiers)
    return any(_has_secret(value) for value in options)


def _has_secret(value: object) -> bool:
    if isinstance(value, SecretStr):
        return bool(value.get_secret_value())
    if isinstance(value, BaseModel):
        return any(_has_secret(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return any(_has_secret(element) for element in value.values())
    return not isinstance(value, str | bytes) and isinstance(value, Iterable) and any(map(_has_secret, value))


def _convert(node: Node) -> object:
    match node:
        case MappingNode():
            return {scalar.text: _convert(value) for scalar, value in node.entries()}
        case Sequence():
            return [_convert(item) for item in node.items]
        case Scalar():
            return node.text
        case _:
            return None
