"""Keys of the files: what each is called, what it means and what may stand there.

Both the reader and the JSON Schemas are made from these tables, so that neither can drift from the other.
`config/keys.py` and `timeline/keys.py` hold them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

Schema = Mapping[str, object]

NAME, TITLE, NOTE, LABEL_VALUE, DESCRIPTION, URL, PATH = 100, 200, 500, 200, 5_000, 2_000, 500
"""The longest texts, in characters."""

MAX_LABELS = 50
MAX_ITEMS = 1_000

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED_LABELS = ("timeline", "milestone", "cause", "contested", "offset")

# A YAML reader that is not ours takes 2026 for a number and true for a flag before a schema sees it.
_ANY_TEXT = ["string", "number", "boolean"]

FLAG: Schema = {"type": "boolean"}
SLUG_TEXT: Schema = {"type": ["string", "integer"], "pattern": f"^{SLUG.pattern}$", "maxLength": NAME}
DURATION: Schema = {"type": "string", "examples": ["90d", "1mo", "12h", "P1M"], "maxLength": 64}
ZONE: Schema = {"type": "string", "examples": ["UTC", "Asia/Baghdad"], "maxLength": NAME}
LABELS: Schema = {
    "type": "object",
    "propertyNames": {"pattern": f"^{LABEL_NAME.pattern}$", "not": {"enum": list(RESERVED_LABELS)}},
    "additionalProperties": {"type": _ANY_TEXT, "maxLength": LABEL_VALUE},
    "maxProperties": MAX_LABELS,
}
LINK: Schema = {"type": "string", "format": "uri", "pattern": "^https?://[^\\s]+$", "maxLength": URL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a mapping.

    Attributes:
        about: what it means, for people.
        schema: what may stand there, as JSON Schema.
    """

    about: str
    schema: Schema
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A mapping with known keys.

    Attributes:
        name: what it is called in the schema's ``$defs``.
        words: what it is called in a problem, with its article.
        rules: further JSON Schema that no single key can say.
        is_open: other keys may stand there too; something else reads them.
    """

    name: str
    words: str
    keys: Mapping[str, Key]
    rules: Schema = field(default_factory=dict)
    is_open: bool = False


def text(limit: int) -> Schema:
    """A text of at most ``limit`` characters."""
    return {"type": _ANY_TEXT, "minLength": 1, "maxLength": limit}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def listed(item: Schema, *, least: int = 0, most: int = MAX_ITEMS) -> Schema:
    bounds = {"minItems": least} if least else {}
    return {"type": "array", "items": item, **bounds, "maxItems": most}


def named(value: Schema, name: Schema = SLUG_TEXT) -> Schema:
    """A mapping from names to values."""
    return {"type": "object", "propertyNames": {"pattern": name["pattern"]}, "additionalProperties": value}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def is_a(shape: str) -> Schema:
    """A reference to a shape by its name."""
    return {"$ref": f"#/$defs/{shape}"}
