"""Read receivers and their notifiers, whose options each notifier's own pydantic model checks."""

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
from alertd.definitions.config.routes import quiet
from alertd.definitions.reading.keys import NAME
from alertd.definitions.reading.nodes import Mapping as MappingNode
from alertd.definitions.reading.nodes import Node, Scalar, Sequence, ValueRefused
from alertd.definitions.reading.reader import Reader, listing, near, shown
from alertd.definitions.reading.terms import zone

Options = Mapping[str, type[BaseModel]]
"""The model of each type of notifier, by the type's name."""

CONSOLE = "console"


def console_receiver(options: Options) -> Receiver:
    """The receiver of those who have written none: it prints."""
    model = options.get(CONSOLE)
    made = model() if model is not None else None
    return Receiver(name=CONSOLE, notifiers=(NotifierSpec(name=CONSOLE, type=CONSOLE, options=made),))


def receivers(reader: Reader, node: Node, options: Options, default: ZoneInfo) -> dict[str, Receiver]:
    """All by name; one with a problem is there too, so that routes that name it are not blamed."""
    read: dict[str, Receiver] = {}
    for item in reader.items(node, "receivers"):
        values = reader.mapping(item, RECEIVER) or {}
        name = reader.text(values["name"], NAME) if "name" in values else None
        specs: dict[str, NotifierSpec] = {}
        if "notifiers" in values:
            for notifier in reader.items(values["notifiers"], "notifiers", MAX_NOTIFIERS):
                spec = _notifier(reader, notifier, options)
                if spec is not None and spec.name in specs:
                    advice = "give each a name of its own" if spec.name == spec.type else "rename one"
                    reader.refuse(notifier, f"{spec.name!r}: a second notifier of this name; {advice}")
                elif spec is not None:
                    specs[spec.name] = spec
        own = zone(reader, values["timezone"]) if "timezone" in values else None
        peace = quiet(reader, values["quiet"], own or default) if "quiet" in values else None
        if name is None:
            continue
        if name in read:
            reader.refuse(values["name"], f"{name!r}: a second receiver of this name; rename one")
        read[name] = Receiver(name=name, notifiers=tuple(specs.values()), zone=own, quiet=peace)
    return read


def _notifier(reader: Reader, node: Node, options: Options) -> NotifierSpec | None:
    values = reader.mapping(node, NOTIFIER)
    if values is None or "type" not in values or not isinstance(node, MappingNode):
        return None
    kind = reader.one_of(values["type"], {name: name for name in options}, "type of notifier")
    name = reader.text(values["name"], NAME) if "name" in values else kind
    if kind is None or name is None:
        return None
    rate = reader.parsed(values["rate"], parse_rate) if "rate" in values else None
    keys = {key: scalar for key, scalar in node.keys.items() if key not in NOTIFIER.keys}
    own = MappingNode(node.line, node.column, keys, {key: node.values[key] for key in keys})
    made = _options(reader, own, options[kind], kind)
    if made is None:
        return None
    written = fingerprint("options", kind, json.dumps(_plain(own), sort_keys=True))
    return NotifierSpec(
        name=name,
        type=kind,
        options=made,
        rate=rate,
        fingerprint=written,
        follows=getattr(made, "follows", False),
    )


def _options(reader: Reader, node: MappingNode, model: type[BaseModel], kind: str) -> BaseModel | None:
    try:
        return model.model_validate(_plain(node), context={"find": reader.find})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _refuse_option(reader, node, detail, model, kind)
        return None


def _refuse_option(
    reader: Reader, node: MappingNode, detail: ErrorDetails, model: type[BaseModel], kind: str
) -> None:
    """Write down pydantic's problem at the key it is about; never with the value, which may be a secret."""
    place, path = _place(node, detail["loc"])
    line = detail.get("ctx", {}).get("line")
    known = [field.alias or name for name, field in model.model_fields.items()]
    match detail["type"]:
        case "extra_forbidden":
            key = str(detail["loc"][-1])
            advice = ""
            if len(detail["loc"]) == 1:
                advice = near(key, known) or f"it has {listing([*NOTIFIER.keys, *known])}"
            message = f"{shown(key)}: no such key in a notifier of type {kind}" + (
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
            said = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            message = f"{path or kind}: {said[:1].lower()}{said[1:]}"
    reader.refuse(place, message)


def _place(node: MappingNode, path: tuple[int | str, ...]) -> tuple[Node, str]:
    """The node that pydantic means, as deep as its path can be followed, and that path as text."""
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


def _plain(node: Node) -> object:
    """What pydantic reads: texts, lists and mappings of texts."""
    match node:
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [_plain(item) for item in items]
        case MappingNode(values=values):
            return {key: _plain(value) for key, value in values.items()}
        case ValueRefused():
            return ""
