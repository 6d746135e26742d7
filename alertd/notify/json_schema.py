"""Makes JSON Schemas (draft 2020-12) from shapes, which are the TypedDicts that the values are built as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from alertd.core.shape import JsonSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SUFFIX = re.compile("(?:Facts|Payload|Body)$")


def make_schemas(
    shapes: Mapping[str, Any], template: str
) -> tuple[dict[str, JsonSchema], dict[str, JsonSchema]]:
    """The schemas of some types, and the named schemas that they refer to.

    Args:
        shapes: the types, under any names.
        template: how a reference is written, such as ``#/$defs/{model}``.

    Returns:
        the schemas under the given names; the named ones by the class's name without its suffix.
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

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchema:
        made = super().typed_dict_schema(schema)
        made.pop("title", None)
        return made
