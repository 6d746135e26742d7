"""Writes values into the body that a webhook's template makes, by the body's content type.

This module does not import Jinja2, so that a webhook without a template does not load it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import quote_plus

from alertd.errors import AlertdError

MAX_SOURCE = 16 * 1024
"""The most characters of a template."""

DEFAULT_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"

_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+(; *charset=utf-8)?")


class TemplateRefused(AlertdError):
    """A template cannot be used. ``line`` is the line in the template, from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


class TemplateFailed(AlertdError):
    """A template made no usable body for a message.

    ``line`` is the line in the template, from 1; 0 for none.
    """

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}" if line else why)
        self.line = line
        self.why = why


def choose_writer(content_type: str) -> Callable[[Any], str]:
    """Return the function that writes a value into a body of this content type.

    Raises:
        ValueError: alertd cannot insert values safely into a body of this type.
    """
    kind = content_type.partition(";")[0]
    if not _TYPE.fullmatch(content_type):
        raise ValueError("is not a content type such as application/json or text/plain; charset=utf-8")
    if is_json(content_type):
        return json.dumps
    if kind == FORM_TYPE:
        return lambda value: quote_plus(format_value(value))
    if kind == "text/html" or kind.endswith(("/xml", "+xml")):
        return lambda value: escape(format_value(value))
    if kind == "text/plain":
        return format_value
    raise ValueError(f"is not JSON, XML, text/html, text/plain or {FORM_TYPE}")


def is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0]
    return kind == DEFAULT_TYPE or kind.endswith("+json")


class Labels(dict[str, str]):
    """A milestone's labels. As for matchers, a missing label is an empty text."""

    def __missing__(self, key: str) -> str:
        return ""


def format_value(value: Any) -> str:
    """Return a text unchanged, "" for null, and anything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
