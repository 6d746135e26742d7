"""Generate the JSON Schemas of both kinds of files from the tables of keys that the reader uses.

`alertd schema config|timeline` prints a schema. Copies for editors are in `config/schema/`. A schema finds
fewer
problems than the reader: it cannot check references, cycles or dates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from alertd.definitions.config.keys import CONFIG_SHAPES
from alertd.definitions.reading.keys import Shape
from alertd.definitions.timeline.keys import TIMELINE_SHAPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def make_config_schema() -> dict[str, object]:
    """Return the schema of `alertd.yaml`."""
    return _make_schema("alertd.yaml", "alertd.schema.json", CONFIG_SHAPES)


def make_timeline_schema() -> dict[str, object]:
    """Return the schema of `milestones/*.yaml`."""
    return _make_schema("A timeline of alertd", "timeline.schema.json", TIMELINE_SHAPES)


def format_schema(schema: dict[str, object]) -> str:
    """Return a schema as formatted JSON."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _make_schema(title: str, name: str, shapes: Iterable[Shape]) -> dict[str, object]:
    root, *others = shapes
    return {
        "$schema": DIALECT,
        "$id": name,
        "title": title,
        **_make_object(root),
        "$defs": {shape.name: _make_object(shape) for shape in others},
    }


def _make_object(shape: Shape) -> dict[str, object]:
    required = [name for name, key in shape.keys.items() if key.required]
    return {
        "type": "object",
        "properties": {name: {"description": key.about, **key.schema} for name, key in shape.keys.items()},
        **({"required": required} if required else {}),
        **({} if shape.is_open else {"additionalProperties": False}),
        **shape.rules,
    }
