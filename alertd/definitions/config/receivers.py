"""Read receivers and their notifiers. The pydantic model of each notifier validates its options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alertd.core.config import NotifierSpec, Receiver
from alertd.core.ledger.backpressure import parse_rate
from alertd.core.milestones.occurrence import fingerprint
from alertd.definitions.config.keys import MAX_NOTIFIERS, NOTIFIER, RECEIVER
from alertd.definitions.config.routes import read_quiet
from alertd.definitions.reading.keys import NAME
from alertd.definitions.reading.nodes import Mapping as MappingNode
from alertd.definitions.reading.nodes import Node, Scalar, Sequence, ValueRefused
from alertd.definitions.reading.reader import Reader, format_list, quote, suggest
from alertd.definitions.reading.terms import read_zone

Options = Mapping[str, type[BaseModel]]
"""The pydantic model for the options of each type of notifier, by the type's name."""

CONSOLE = "console"


def make_console_receiver(options: Options) -> Receiver:
    """Return the default receiver, which prints to the console."""
    model = options.get(CONSOLE)
    made = model() if model is not None else None
    return Receiver(name=CONSOLE, notifiers=(NotifierSpec(name=CONSOLE, type=CONSOLE, options=made),))


def read_receivers(reader: Reader, node: Node, options: Options, default: ZoneInfo) -> dict[str, Receiver]:
    """Return the receivers by name.

    A receiver with a problem is included, so that routes that refer to it get no further problem.

    Args:
        default: the time zone of quiet hours of a receiver that names none.
    """
    read: dict[str, Receiver] = {}
    for item in reader.read_items(node, "receivers"):
        values = reader.read_mapping(item, RECEIVER) or {}
        name = reader.read_text(values["name"], NAME) if "name" in values else None
        specs: dict[str, NotifierSpec] = {}
        if "notifiers" in values:
            for notifier in reader.read_items(values["notifiers"], "notifiers", MAX_NOTIFIERS):
                spec = _read_notifier(reader, notifier, options)
                if spec is not None and spec.name in specs:
                    advice = "give each a name of its own" if spec.name == spec.type else "rename one"
                    reader.refuse(notifier, f"{spec.name!r}: a second notifier of this name; {advice}")
                elif spec is not None:
                    specs[spec.name] = spec
        own = read_zone(reader, values["timezone"]) if "timezone" in values else None
        quiet = read_quiet(reader, values["quiet"], own or default) if "quiet" in values else None
        if name is None:
            continue
        if name in read:
            reader.refuse(values["name"], f"{name!r}: a second receiver of this name; rename one")
        read[name] = Receiver(name=name, notifiers=tuple(specs.values()), zone=own, quiet=quiet)
    return read


def _read_notifier(reader: Reader, node: Node, options: Options) -> NotifierSpec | None:
    values = reader.read_mapping(node, NOTIFIER)
    if values is None or "type" not in values or not isinstance(node, MappingNode):
        return None
    model = reader.look_up(values["type"], options, "type of notifier")
    kind = reader.read_text(values["type"], NAME) if model is not None else None
    name = reader.read_text(values["name"], NAME) if "name" in values else kind
    if model is None or kind is None or name is None:
        return None
    rate = reader.parse(values["rate"], parse_rate) if "rate" in values else None
    keys = {key: scalar for key, scalar in node.keys.items() if key not in NOTIFIER.keys}
    own = MappingNode(node.line, node.column, keys, {key: node.values[key] for key in keys})
    made = _read_options(reader, own, model, kind)
    if made is None:
        return None
    written = fingerprint("options", kind, json.dumps(_convert_to_plain(own), sort_keys=True))
    return NotifierSpec(
        name=name,
        type=kind,
        options=made,
        rate=rate,
        fingerprint=written,
        follows=getattr(made, "follows", False),
    )


def _read_options(reader: Reader, node: MappingNode, model: type[BaseModel], kind: str) -> BaseModel | None:
    try:
        return model.model_validate(_convert_to_plain(node), context={"find": reader.find})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _refuse_option(reader, node, detail, model, kind)
        return None


def _refuse_option(
    reader: Reader, node: MappingNode, detail: ErrorDetails, model: type[BaseModel], kind: str
) -> None:
    """Record an error of pydantic at its key. The message leaves out the value, which may be a secret."""
    place, path = _find_place(node, detail["loc"])
    line = detail.get("ctx", {}).get("line")
    known = [field.alias or name for name, field in model.model_fields.items()]
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            advice = ""
            if len(detail["loc"]) == 1:
                advice = suggest(key, known) or f"it has {format_list([*NOTIFIER.keys, *known])}"
            message = f"{quote(key)}: no such key in a notifier of type {kind}" + (
                f"; {advice}" if advice else ""
            )
        case "missing":
            message = f"a notifier of type {kind} needs {'.'.join(str(part) for part in detail['loc'])}"
        case "template" if line and path in node.values:
            text = node.values[path]
            is_literal = isinstance(text, Scalar) and text.is_literal
            message = f"{path}: {'' if is_literal else f'line {line}: '}{detail['msg']}"
            place = ValueRefused(text.line + line, 1) if is_literal else place
        case "template":
            message = f"{path or kind}: {detail['msg']}"
        case _:
            # What a validator raised; pydantic's own sentence where none did.
            said = str(detail.get("ctx", {}).get("error", detail["msg"]))
            message = f"{path or kind}: {said[:1].lower()}{said[1:]}"
    reader.refuse(place, message)


def _find_place(node: MappingNode, path: tuple[int | str, ...]) -> tuple[Node, str]:
    """Follow pydantic's path as deep as possible. Return the node that was reached and the path as text."""
    place: Node = node
    inner: Node = node
    words = ""
    for step in path:
        if isinstance(inner, MappingNode) and isinstance(step, str) and step in inner.values:
            place, inner = inner.keys[step], inner.values[step]
            words += f".{step}" if words else step
        elif isinstance(inner, Sequence) and isinstance(step, int) and step < len(inner.items):
            place = inner = inner.items[step]
            words += f"[{step}]"
        else:
            break
    return place, words


def _convert_to_plain(node: Node) -> object:
    """Convert a node to the texts, lists and dicts that pydantic validates."""
    match node:
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [_convert_to_plain(item) for item in items]
        case MappingNode(values=values):
            return {key: _convert_to_plain(value) for key, value in values.items()}
        case ValueRefused():
            return ""
