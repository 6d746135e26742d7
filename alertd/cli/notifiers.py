"""``alertd notifiers``: the types that are installed, from where, and what can be set."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.options import FormatOption, OutputFormat
from alertd.cli.paper import show, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import BaseModel
    from rich.console import RenderableType

    from alertd.cli.paper import Facts
    from alertd.notify.registry import NotifierType


def notifiers(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TYPE]...", help="Only these, with all their options.", show_default=False),
    ] = None,
    *,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """List the types of notifiers: what is installed, from which package, and whether it can be used.

    With a TYPE, also its options. JSON has them always. Exits 1 when one cannot be used.
    """
    from alertd.cli.loading import nearest
    from alertd.notify.registry import brought

    every = brought()
    known = [one.name for one in every]
    for name in names or ():
        if name not in known:
            advice = nearest(name, known) or f"there is {', '.join(dict.fromkeys(known))}"
            raise typer.BadParameter(f"no type {name!r}; {advice}", param_hint="TYPE")
    rows = [_facts(one, every) for one in every if not names or one.name in names]
    if form is not OutputFormat.TEXT:
        write_rows(rows, form)
    elif names:
        parts = [part for row in rows for part in (*_page(row), "")]
        show(*parts[:-1])
    else:
        show(_table(rows))
    if not all(row["usable"] for row in rows):
        raise typer.Exit(1)


def _facts(one: NotifierType, every: Sequence[NotifierType]) -> Facts:
    from alertd.notify.registry import NotifierUnusable

    facts: dict[str, object] = {
        "type": one.name,
        "package": one.distribution,
        "version": one.version,
        "usable": False,
        "why_not": "",
        "about": "",
        "options": [],
    }
    first = next(other for other in every if other.name == one.name)
    if first is not one:
        return {**facts, "why_not": f"{first.distribution} brings a type of that name, and comes first"}
    try:
        made = one.load()
    except NotifierUnusable as error:
        return {**facts, "why_not": str(error).partition(": ")[2] or str(error)}
    missing = getattr(made, "missing", None)
    why_not = str(missing()) if callable(missing) else ""
    return {
        **facts,
        "usable": not why_not,
        "why_not": why_not,
        "about": _first_line(inspect.getdoc(made)),
        "options": list(_options(made.Options)),
    }


def _options(model: type[BaseModel]) -> Iterator[Facts]:
    """Key, default and what it is; a default of null is none."""
    # Its own before those of the kit, which all have.
    order = [name for one in model.__mro__ for name in vars(one).get("__annotations__", {})]
    for name, field in sorted(model.model_fields.items(), key=lambda one: order.index(one[0])):
        key = field.alias or name
        about = _unmarked(field.description or "")
        owner = key.removesuffix("_file")
        if not about and owner != key:
            about = f"{owner}, from a secret file."
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        yield {"key": key, "required": field.is_required(), "default": _plain(default), "about": about}


def _plain(value: object) -> object:
    """As JSON; "" and nothing at all are both none."""
    if value in (None, "", [], {}, ()):
        return None
    if isinstance(value, bool | int | float | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return str(value)


def _table(rows: Sequence[Facts]) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for title in ("TYPE", "FROM", ""):
        table.add_column(title)
    table.add_row("TYPE", "FROM", "", style="dim")
    for row in rows:
        about = str(row["about"]) if row["usable"] else f"cannot be used: {row['why_not']}"
        table.add_row(str(row["type"]), _origin(row), about, style="" if row["usable"] else "red")
    return table


def _page(row: Facts) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    yield Text.assemble((str(row["type"]), "bold"), f"  from {_origin(row)}")
    yield Text(str(row["about"])) if row["usable"] else Text(f"Cannot be used: {row['why_not']}", "red")
    options = row["options"]
    if isinstance(options, list) and options:
        table = Table.grid(padding=(0, 2))
        table.add_row("", "OPTION", "DEFAULT", "", style="dim")
        for one in options:
            table.add_row("", str(one["key"]), _default(one), str(one["about"]))
        yield ""
        yield table


def _default(option: Facts) -> str:
    default = option["default"]
    if option["required"]:
        return "needed"
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return ", ".join(map(str, default)) if isinstance(default, list) else str(default)


def _origin(row: Facts) -> str:
    return f"{row['package']} {row['version']}".strip()


def _first_line(doc: str | None) -> str:
    return _unmarked((doc or "").partition("\n\n")[0])


def _unmarked(text: str) -> str:
    """On one line, without the marks of code."""
    return " ".join(text.replace("``", "").split())
