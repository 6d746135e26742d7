"""Make the JSON Schemas of both files from the tables of keys that the reader uses.

They are kept in `config/schema/`, where editors find them; `alertd schema config|timeline` prints
them. A schema can say less than the reader: it knows no names, no cycles and no calendar.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from alertd.definitions.config.keys import CONFIG_SHAPES
from alertd.definitions.reading.keys import Shape
from alertd.definitions.timeline.keys import TIMELINE_SHAPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def config_schema() -> dict[str, object]:
    """The schema of `alertd.yaml`."""
    return _schema("alertd.yaml", "alertd.schema.json", CONFIG_SHAPES)


def timeline_schema() -> dict[str, object]:
    """The schema of `milestones/*.yaml`."""
    return _schema("A timeline of alertd", "timeline.schema.json", TIMELINE_SHAPES)


def schema_text(schema: dict[str, object]) -> str:
    """A schema as it is kept and printed."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema(title: str, name: str, shapes: Iterable[Shape]) -> dict[str, object]:
    root, *others = shapes
    return {
        "$schema": DIALECT,
        "$id": name,
        "title": title,
        **_object(root),
        "$defs": {shape.name: _object(shape) for shape in others},
    }


def _object(shape: Shape) -> dict[str, object]:
    required = [name for name, key in shape.keys.items() if key.required]
    return {
        "type": "object",
        "properties": {name: {"description": key.about, **key.schema} for name, key in shape.keys.items()},
        **({"required": required} if required else {}),
        **({} if shape.is_open else {"additionalProperties": False}),
        **shape.rules,
    }
