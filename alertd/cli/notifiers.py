"""``alertd notifiers``: list the installed types of notifiers, their packages and their options."""

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
        typer.Argument(
            metavar="[TYPE]...", help="List only these types, with their options.", show_default=False
        ),
    ] = None,
    *,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """List the installed types of notifiers, with their packages, and report whether each can be used.

    With a TYPE, its options are listed too. JSON always has the options. Exits 1 if a type cannot be used.
    """
    from alertd.cli.loading import suggest_name
    from alertd.notify.registry import list_all

    every = list_all()
    known = [kind.name for kind in every]
    for name in names or ():
        if name not in known:
            advice = suggest_name(name, known) or f"there is {', '.join(dict.fromkeys(known))}"
            raise typer.BadParameter(f"no type {name!r}; {advice}", param_hint="TYPE")
    rows = [_type_facts(kind, every) for kind in every if not names or kind.name in names]
    if form is not OutputFormat.TEXT:
        write_rows(rows, form)
    elif names:
        parts = [part for row in rows for part in (*_render_type(row), "")]
        show(*parts[:-1])
    else:
        show(_render_table(rows))
    if not all(row["usable"] for row in rows):
        raise typer.Exit(1)


def _type_facts(kind: NotifierType, every: Sequence[NotifierType]) -> Facts:
    from alertd.notify.registry import NotifierUnusable

    facts: dict[str, object] = {
        "type": kind.name,
        "package": kind.distribution,
        "version": kind.version,
        "usable": False,
        "why_not": "",
        "about": "",
        "options": [],
    }
    first = next(candidate for candidate in every if candidate.name == kind.name)
    if first is not kind:
        return {**facts, "why_not": f"{first.distribution} brings a type of that name, and comes first"}
    try:
        notifier = kind.load()
    except NotifierUnusable as error:
        return {**facts, "why_not": error.why}
    missing = getattr(notifier, "missing", None)
    why_not = str(missing()) if callable(missing) else ""
    return {
        **facts,
        "usable": not why_not,
        "why_not": why_not,
        "about": _first_paragraph(inspect.getdoc(notifier)),
        "options": list(_option_facts(notifier.Options)),
    }


def _option_facts(model: type[BaseModel]) -> Iterator[Facts]:
    """Yield the facts of each option: key, whether it is required, default and description.

    A default of None means that the option has no default.
    """
    # The notifier's own options come before the options that every notifier inherits.
    order = [name for base in model.__mro__ for name in vars(base).get("__annotations__", {})]
    for name, field in sorted(model.model_fields.items(), key=lambda item: order.index(item[0])):
        key = field.alias or name
        about = _strip_markup(field.description or "")
        owner = key.removesuffix("_file")
        if not about and owner != key:
            about = f"{owner}, from a secret file."
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        yield {"key": key, "required": field.is_required(), "default": _to_json(default), "about": about}


def _to_json(value: object) -> object:
    """Convert an option's default to a JSON value. Empty values become None."""
    if value in (None, "", [], {}, ()):
        return None
    if isinstance(value, bool | int | float | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_json(element) for element in value]
    return str(value)


def _render_table(rows: Sequence[Facts]) -> RenderableType:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for title in ("TYPE", "FROM", ""):
        table.add_column(title)
    table.add_row("TYPE", "FROM", "", style="dim")
    for row in rows:
        about = str(row["about"]) if row["usable"] else f"cannot be used: {row['why_not']}"
        table.add_row(str(row["type"]), _origin(row), about, style="" if row["usable"] else "red")
    return table


def _render_type(row: Facts) -> Iterator[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    yield Text.assemble((str(row["type"]), "bold"), f"  from {_origin(row)}")
    yield Text(str(row["about"])) if row["usable"] else Text(f"Cannot be used: {row['why_not']}", "red")
    options = row["options"]
    if isinstance(options, list) and options:
        table = Table.grid(padding=(0, 2))
        table.add_row("", "OPTION", "DEFAULT", "", style="dim")
        for option in options:
            table.add_row("", str(option["key"]), _default(option), str(option["about"]))
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


def _first_paragraph(doc: str | None) -> str:
    return _strip_markup((doc or "").partition("\n\n")[0])


def _strip_markup(text: str) -> str:
    """Put the text on one line and remove the double backquotes."""
    return " ".join(text.replace("``", "").split())
