"""Describe the keys that the files can contain: name, meaning and allowed values.

`config/keys.py` and `timeline/keys.py` contain the tables. The reader and the JSON Schemas both use them, so
they always agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from alertd.core.routing.labels import BY_NAME as ADDED_LABELS
from alertd.core.routing.labels import LABEL_NAME

Schema = Mapping[str, object]

NAME, TITLE, NOTE, LABEL_VALUE, DESCRIPTION, URL, PATH = 100, 200, 500, 200, 5_000, 2_000, 500
"""The maximum length of each kind of text, in characters."""

MAX_LABELS = 50
MAX_ITEMS = 1_000

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")

# Editors check the schema after a YAML parser that turns 2026 into a number and true into a boolean (YAML
# 1.2.2, section 10.3). alertd itself reads every value as text.
_ANY_TEXT = ["string", "number", "boolean"]

FLAG: Schema = {"type": "boolean"}
SLUG_TEXT: Schema = {"type": ["string", "integer"], "pattern": f"^{SLUG.pattern}$", "maxLength": NAME}
DURATION: Schema = {"type": "string", "examples": ["90d", "1mo", "12h", "P1M"], "maxLength": 64}
ZONE: Schema = {"type": "string", "examples": ["UTC", "Asia/Baghdad"], "maxLength": NAME}
LABELS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": f"^{LABEL_NAME.pattern}$", "not": {"enum": list(ADDED_LABELS)}},
    "additionalProperties": {"type": _ANY_TEXT, "maxLength": LABEL_VALUE},
    "maxProperties": MAX_LABELS,
}
LINK: Schema = {"type": "string", "format": "uri", "pattern": "^https?://[^\\s]+$", "maxLength": URL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a mapping.

    Attributes:
        about: the description in the JSON Schema.
        schema: the allowed values, as JSON Schema.
        required: whether the mapping must have this key.
    """

    about: str
    schema: Schema
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A mapping with known keys.

    Attributes:
        name: its name in the ``$defs`` of the JSON Schema.
        words: its name in messages, with an article.
        keys: the keys by name.
        rules: JSON Schema for rules that concern several keys.
        is_open: whether further keys are allowed. Other code reads them.
    """

    name: str
    words: str
    keys: Mapping[str, Key]
    rules: Schema = field(default_factory=dict)
    is_open: bool = False


def text(limit: int) -> Schema:
    """Return the schema of a text of at most ``limit`` characters."""
    return {"type": _ANY_TEXT, "minLength": 1, "maxLength": limit}


def one_of(*values: str) -> Schema:
    """Return the schema of a text that is one of ``values``."""
    return {"enum": list(values)}


def listed(item: Schema, *, least: int = 0, most: int = MAX_ITEMS) -> Schema:
    """Return the schema of a list with ``least`` to ``most`` items."""
    bounds = {"minItems": least} if least else {}
    return {"type": "array", "items": item, **bounds, "maxItems": most}


def named(value: Schema, name: Schema = SLUG_TEXT) -> Schema:
    """Return the schema of a mapping from names to values."""
    return {"type": "object", "propertyNames": {"pattern": name["pattern"]}, "additionalProperties": value}


def either(*schemas: Schema) -> Schema:
    """Return the schema of a value that matches at least one of ``schemas``."""
    return {"anyOf": list(schemas)}


def is_a(shape: str) -> Schema:
    """Return a reference to the schema of the shape with this name."""
    return {"$ref": f"#/$defs/{shape}"}
