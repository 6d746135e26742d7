"""Builds the body of a webhook from the operator's own template, in a small subset of Jinja2.

Rules that hold here:
- only listed syntax is allowed (`template_syntax.py`): no calls, assignments, arithmetic or imports;
- a template sees the body of format ``alertd`` and no Python objects: an attribute is a key of the data;
- every inserted value is encoded for the content type: as JSON, percent-encoded or escaped;
- everything is bounded: the source, the nesting of loops, the steps of all loops, the work of all operations
  with what they read, the result.

These rules are needed because Jinja2's sandbox limits neither time nor memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import (
    StrictUndefined,
    TemplateError,
    TemplateRuntimeError,
    TemplateSyntaxError,
    Undefined,
    nodes,
)
from jinja2 import Template as JinjaTemplate
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from alertd.notify.webhook.template_syntax import SyntaxRefusal, check_quotes, check_syntax
from alertd.notify.webhook.template_values import (
    DEFAULT_TYPE,
    MAX_SOURCE,
    TemplateFailed,
    TemplateRefused,
    choose_writer,
    format_value,
    is_json,
)

MAX_STEPS = 10_000
"""The most steps of all loops for one message."""

MAX_WORK = 1_000_000
"""The most operations for one message.

Each pass through a loop counts as many as its body has, and an operation on a text or a list as many as its
parts. So a message takes less than a second of the event loop.
"""

CHARACTERS = 16
"""How many characters of a text count as one operation."""

MAX_RESULT = 256 * 1024
"""The most characters of a body."""

MAX_TRUNCATED = 10_000

LOOP = frozenset({"index", "index0", "first", "last", "length"})
"""The attributes of ``loop`` that a template may use."""

_NAME = "<template>"
_STEPS = "_steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A compiled template that uses only allowed syntax."""

    content_type: str
    _made: JinjaTemplate

    def render(self, values: Mapping[str, Any]) -> bytes:
        """Return the body.

        Args:
            values: JSON values by name.

        Raises:
            TemplateFailed: the data does not have the expected form, or the result is too long or not valid
            JSON.
        """
        parts: list[str] = []
        size = 0
        try:
            for part in self._made.generate({**values, _STEPS: _Steps()}):
                parts.append(part)
                size += len(part)
                if size > MAX_RESULT:
                    raise TemplateRuntimeError(f"the result is longer than {MAX_RESULT:,} characters")
        except (
            TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError, MemoryError
        ) as error:  # fmt: skip
            raise TemplateFailed(_find_line(error), str(error)) from error
        body = "".join(parts)
        if is_json(self.content_type):
            try:
                json.loads(body, parse_constant=_refuse_constant)
            except (ValueError, RecursionError) as error:
                raise TemplateFailed(0, f"the result is no JSON: {error}") from error
        return body.encode()


def compile_template(source: str, content_type: str = DEFAULT_TYPE) -> Template:
    """Compile a template.

    Raises:
        TemplateRefused: the template is invalid or uses something that is not allowed. The error is about
            the first such place.
        ValueError: raised by :func:`choose_writer`.
    """
    if len(source) > MAX_SOURCE:
        raise TemplateRefused(1, f"{len(source):,} characters; at most {MAX_SOURCE:,} are taken")
    env = _environment(choose_writer(content_type))
    try:
        tree = env.parse(source)
        check_syntax(tree, FILTERS.keys(), env.tests)
        if is_json(content_type):
            check_quotes(env.lex(source))
        _count_work(tree)
        return Template(content_type=content_type, _made=env.from_string(tree))
    except TemplateSyntaxError as error:
        raise TemplateRefused(error.lineno, error.message or "it cannot be read") from error
    except SyntaxRefusal as error:
        raise TemplateRefused(error.line, str(error)) from error
    except (RecursionError, MemoryError, SyntaxError, ValueError) as error:
        raise TemplateRefused(1, "it is nested too deeply") from error


class _Steps:
    """Counts the steps of all loops, and the work of all operations, while one body is rendered."""

    def __init__(self) -> None:
        self._left = MAX_STEPS
        self._work_left = MAX_WORK

    def count(self, number: int, body: int) -> None:
        """Count the steps of a loop whose body has ``body`` operations."""
        self._left -= number
        if self._left < 0:
            raise TemplateRuntimeError(f"its loops take more than {MAX_STEPS:,} steps")
        self._spend(number * body)

    def measure(self, value: Any) -> None:
        """Count the work of reading a whole value. Stop as soon as it is too much."""
        left = [value]
        while left:
            value = left.pop()
            self._spend(1 + len(value) // CHARACTERS if isinstance(value, str) else 1)
            if isinstance(value, dict):
                left += value
                left += value.values()
            elif isinstance(value, list | tuple):
                left += value

    def _spend(self, work: int) -> None:
        self._work_left -= work
        if self._work_left < 0:
            raise TemplateRuntimeError(f"it takes more than {MAX_WORK:,} operations for this message")


class _Environment(ImmutableSandboxedEnvironment):
    """Reads ``a.b`` and ``a["b"]`` as the key ``b`` of the data.

    No attribute of a Python object is accessible.
    """

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            str(obj)  # raises an error that names the missing value
        if isinstance(obj, dict | list) and isinstance(argument, str | int):
            try:
                return obj[argument]  # type: ignore[index]  # an index of the wrong type is caught below
            except (TypeError, LookupError):
                pass
        elif isinstance(obj, LoopContext) and argument in LOOP:
            return getattr(obj, argument)
        return self.undefined(hint=f"there is no {argument} here", obj=obj, name=argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)


def _environment(write: Callable[[Any], str]) -> _Environment:
    def finalize(value: Any) -> str:
        if isinstance(value, Undefined):
            return str(value)  # raises an error that names the missing value
        return write(value)

    env = _Environment(
        undefined=StrictUndefined, finalize=finalize, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    env.globals.clear()
    env.filters = {**FILTERS, _EACH: _each, _MEASURED: _measure}
    env.tests = {name: env.tests[name] for name in ("defined", "undefined", "none", "string")}
    return env


def _count_work(tree: nodes.Template) -> None:
    """Wrap in filters what takes time: every loop's iterable, and what an operation reads as a whole."""
    for loop in tree.find_all(nodes.For):
        body = sum(1 for _ in loop.find_all(nodes.Node))
        loop.iter = _wrap(loop.iter, _EACH, nodes.Const(body))
    for node in list(tree.find_all((nodes.Output, nodes.Concat, nodes.Compare, nodes.Filter))):
        match node:
            case nodes.Output() | nodes.Concat():
                node.nodes = [
                    part if isinstance(part, nodes.TemplateData) else _wrap(part, _MEASURED)
                    for part in node.nodes
                ]
            case nodes.Compare():
                node.expr = _wrap(node.expr, _MEASURED)
                for operand in node.ops:
                    operand.expr = _wrap(operand.expr, _MEASURED)
            case nodes.Filter() if node.name in READS_ALL and node.node is not None:
                node.node = _wrap(node.node, _MEASURED)


def _wrap(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


@pass_context
def _measure(context: Context, value: Any) -> Any:
    """Return the value. Count the work of the operation that reads it."""
    context[_STEPS].measure(value)
    return value


@pass_context
def _each(context: Context, value: Any, body: int) -> list[Any]:
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, list):
        raise TemplateRuntimeError("a loop goes over a list; over a mapping with |dictsort")
    context[_STEPS].count(len(value), body)
    return value


_EACH, _MEASURED = "_each", "_measured"


def _join(values: Any, between: Any = ", ", attribute: Any = "") -> str:
    # Only lists: the result is a text, which cannot be joined again, so no text can grow by repetition.
    if not isinstance(values, list) or not isinstance(between, str) or len(between) > 100:
        raise TemplateRuntimeError("join takes a list, and puts at most 100 characters between")
    found = [element[attribute] if attribute else element for element in values]
    return between.join(format_value(element) for element in found)


def _truncate(value: Any, length: Any = 255) -> str:
    if not isinstance(length, int) or not 1 <= length <= MAX_TRUNCATED:
        raise TemplateRuntimeError(f"truncate takes a number from 1 to {MAX_TRUNCATED:,}")
    text = format_value(value)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _default(value: Any, instead: Any = "") -> Any:
    return instead if isinstance(value, Undefined) or value is None or value == "" else value


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, list) and value else None


def _dictsort(value: Any) -> list[list[Any]]:
    if not isinstance(value, dict):
        raise TemplateRuntimeError("dictsort takes a mapping")
    return [[name, value[name]] for name in sorted(value)]


def _length(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        raise TemplateRuntimeError("length takes a text, a list or a mapping")
    return len(value)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "default": _default,
    "dictsort": _dictsort,
    "first": _first,
    "join": _join,
    "last": _last,
    "length": _length,
    "lower": lambda value: format_value(value).lower(),
    "truncate": _truncate,
    "upper": lambda value: format_value(value).upper(),
}
"""All filters that a template can use. Jinja2's own filters are not available."""

READS_ALL = frozenset({"dictsort", "join", "lower", "truncate", "upper"})
"""The filters that read the whole of a value, with everything in it."""


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _find_line(error: BaseException) -> int:
    """Return the template's line at which an error was raised. Jinja2 puts this line into the traceback."""
    line, frame = 1, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == _NAME:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line
