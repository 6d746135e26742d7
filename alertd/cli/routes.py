"""``alertd routes``: the tree of routes, and where labels lead in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.options import ConfigOption, FormatOption, OutputFormat
from alertd.cli.paper import show, write_rows

if TYPE_CHECKING:
    from rich.tree import Tree

    from alertd.core.routing.route import Match, Route

routes = typer.Typer(no_args_is_help=True)


@routes.command("show")
def draw(config: ConfigOption = None) -> None:
    """Draw the tree of routes."""
    from alertd.cli.loading import settings_of, usable_definitions

    show(_tree(usable_definitions(settings_of(config))[1].route))


@routes.command("test")
def lead_to(
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels", metavar="NAME=VALUE", help="Again for each, or several with commas between."
        ),
    ] = None,
    milestone: Annotated[
        str | None,
        typer.Option("--milestone", metavar="ID", help="Take this one's labels too.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """Say who is told about something with these labels, and by which route.

    The labels `cause` (opens, approaching, due, overdue, moved, done) and `offset` (such as -7d) are what a
    message adds to its milestone's own.
    """
    from alertd import app
    from alertd.cli.loading import find_milestone, settings_of, usable_definitions
    from alertd.core.milestones.occurrence import Cause, labels_of
    from alertd.core.routing.route import match_routes

    definitions, wired = usable_definitions(settings_of(config))
    given = dict(_labels(labels or ()))
    if milestone is not None:
        known = app.milestones(definitions)
        found = known[find_milestone(milestone, known)]
        # Without what a message adds to them, unless that is given.
        own = labels_of(found, Cause.APPROACHING, "")
        given = {name: own[name] for name in own.keys() - {"cause", "offset"}} | given
    matches = match_routes(wired.route, given)
    if form is OutputFormat.TEXT:
        show(*(_line(match) for match in matches))
    else:
        write_rows((_facts(match) for match in matches), form)


def _labels(texts: list[str] | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for text in texts:
        for one in text.split(","):
            name, equals, value = one.strip().partition("=")
            if not equals or not name:
                raise typer.BadParameter(f"{one!r}: write name=value", param_hint="--labels")
            yield name.strip(), value.strip().strip('"')


def _line(match: Match) -> str:
    because = ", ".join(map(str, match.matchers)) or "it takes everything"
    return f"{match.receiver}  by {match.path}: {because}"


def _facts(match: Match) -> dict[str, object]:
    return {
        "receiver": match.receiver,
        "route": match.path,
        "matchers": [str(one) for one in match.matchers],
        "group_by": list(match.group_by),
        "digest": match.digest.name if match.digest else "",
        "muted_by": [one.name for one in match.mute],
        "active_by": [one.name for one in match.active],
    }


def _tree(route: Route) -> Tree:
    from rich.tree import Tree

    tree = Tree(f"{route.receiver}  takes everything")
    _grow(tree, route)
    return tree


def _grow(tree: Tree, route: Route) -> None:
    for child in route.routes:
        words = [child.receiver or "(the same)", ", ".join(map(str, child.matchers)) or "takes everything"]
        if child.continue_:
            words.append("and on")
        if child.digest:
            words.append(f"digest: {child.digest.name}")
        words += [f"mute: {one.name}" for one in child.mute] + [f"active: {one.name}" for one in child.active]
        _grow(tree.add("  ".join(words)), child)
