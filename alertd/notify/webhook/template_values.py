"""What a template is told and how values are written into a body; without Jinja2, which is slow to import."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote_plus

from alertd.errors import AlertdError

MAX_SOURCE = 16 * 1024
"""Characters of a template."""

DEFAULT_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+(; *charset=utf-8)?")


class TemplateRefused(AlertdError):
    """A template cannot be used. ``line`` is the template's, from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


class TemplateFailed(AlertdError):
    """A template made no usable body of a message. ``line`` is the template's, from 1; 0 for none."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}" if line else why)
        self.line = line
        self.why = why


def writer_of(content_type: str) -> Callable[[Any], str]:
    """How a value is written into a body of that type.

    Raises:
        ValueError: the type is none that values can be written into safely.
    """
    kind = content_type.partition(";")[0]
    if not _TYPE.fullmatch(content_type):
        raise ValueError("is not a content type such as application/json or text/plain; charset=utf-8")
    if is_json(content_type):
        return json.dumps
    if kind == FORM_TYPE:
        return lambda value: quote_plus(text_of(value))
    if kind == "text/html" or kind.endswith(("/xml", "+xml")):
        return lambda value: escape(text_of(value))
    if kind == "text/plain":
        return text_of
    raise ValueError(f"is not JSON, XML, text/html, text/plain or {FORM_TYPE}")


def is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0]
    return kind == DEFAULT_TYPE or kind.endswith("+json")


class Labels(dict[str, str]):
    """Labels: one that is not there is an empty text, as it is for matchers."""

    def __missing__(self, key: str) -> str:
        return ""


def text_of(value: Any) -> str:
    """Texts as they are; nothing for null; anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
