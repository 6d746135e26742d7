"""Descriptions, formats and bounds for the types of alertd's JSON, which Python's types cannot express.

A shape is a TypedDict. alertd builds its JSON as shapes, and pydantic makes the JSON Schema from a shape. The
core
does not import pydantic: pydantic finds the method of :class:`Doc` by its name. The shapes use the TypedDict
of typing_extensions, because pydantic rejects the TypedDict of Python 3.11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

JsonSchema = dict[str, Any]


class Doc:
    """Describes a value, as metadata of ``Annotated``.

    Args:
        about: a description of the value.
        keywords: further keywords of JSON Schema, such as ``format`` or ``maxLength``.
    """

    def __init__(self, about: str = "", /, **keywords: object) -> None:
        self._keywords: JsonSchema = {**({"description": about} if about else {}), **keywords}

    def __get_pydantic_json_schema__(self, core_schema: Any, make: Callable[[Any], JsonSchema]) -> JsonSchema:
        return {**make(core_schema), **self._keywords}


Instant = Annotated[str, Doc(format="date-time")]
"""An instant in UTC, such as ``2026-09-23T06:00:00Z``."""

Count = Annotated[int, Doc(minimum=0)]
