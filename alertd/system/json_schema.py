"""Makes JSON Schemas (draft 2020-12) from shapes: the TypedDicts that describe the values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SUFFIX = re.compile("(?:Facts|Payload|Body)$")


def make_schemas(
    shapes: Mapping[str, Any], template: str
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the JSON Schemas of types, and the named schemas that they refer to.

    Args:
        shapes: the types by name; the caller chooses the names.
        template: the form of a reference, such as ``#/$defs/{model}``.

    Returns:
        The schemas by the given names, and the named schemas by the class's name without its suffix.
    """
    found, common = TypeAdapter.json_schemas(
        [(name, "serialization", TypeAdapter(shape)) for name, shape in shapes.items()],
        ref_template=template,
        schema_generator=_Untitled,
    )
    return {name: schema for (name, _), schema in found.items()}, common.get("$defs", {})


class _Untitled(GenerateJsonSchema):
    """Leaves out titles, which only repeat names, and suffixes, which only tell our classes apart."""

    def normalize_name(self, name: str) -> str:
        return _SUFFIX.sub("", super().normalize_name(name))

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  its caller is pydantic
        return False

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> dict[str, Any]:
        made = super().typed_dict_schema(schema)
        made.pop("title", None)
        return made
