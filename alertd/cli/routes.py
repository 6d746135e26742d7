"""``alertd routes``: show the tree of routes, and test which routes match given labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.options import ConfigOption, FormatOption, OutputFormat
from alertd.cli.paper import show, warn, write_rows

if TYPE_CHECKING:
    from rich.tree import Tree

    from alertd.core.routing.route import Match, Route

routes = typer.Typer(no_args_is_help=True, help="Show and test the routes to receivers.")


@routes.command("show")
def draw(config: ConfigOption = None) -> None:
    """Draw the tree of routes."""
    from alertd.cli.loading import load_usable_definitions, read_settings

    show(_render_tree(load_usable_definitions(read_settings(config))[1].route))


@routes.command("test")
def lead_to(
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels", metavar="NAME=VALUE", help="A label, or several separated by commas; repeatable."
        ),
    ] = None,
    milestone: Annotated[
        str | None,
        typer.Option("--milestone", metavar="ID", help="Add this milestone's labels.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    form: FormatOption = OutputFormat.TEXT,
) -> None:
    """Show which receivers get a reminder with these labels, and by which route.

    A reminder adds labels of its own to its milestone's, such as `cause` and `offset`. Write them here too,
    as in --labels cause=overdue.
    """
    from alertd import app
    from alertd.cli.loading import find_milestone, load_usable_definitions, read_settings
    from alertd.core.routing.labels import list_labels_without_reminder
    from alertd.core.routing.route import match_routes

    definitions, configuration = load_usable_definitions(read_settings(config))
    given = dict(_read_labels(labels or ()))
    if milestone is not None:
        known = app.resolve_milestones(definitions)
        given = list_labels_without_reminder(known[find_milestone(milestone, known)]) | given
    for refusal in _list_impossible_values(given):
        warn(refusal)
    matches = match_routes(configuration.route, given)
    if form is OutputFormat.TEXT:
        show(*(_match_line(match) for match in matches))
    else:
        write_rows((_match_facts(match) for match in matches), form)


def _read_labels(texts: list[str] | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for text in texts:
        for label in text.split(","):
            name, equals, value = label.strip().partition("=")
            if not equals or not name:
                raise typer.BadParameter(f"{label!r}: write name=value", param_hint="--labels")
            yield name.strip(), value.strip().strip('"')


def _list_impossible_values(labels: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each value that its label never has."""
    from alertd.core.routing.labels import BY_NAME
    from alertd.core.words import join_with_and

    for name, value in labels.items():
        known = BY_NAME[name].values if name in BY_NAME else ()
        if known and value not in known:
            yield f"{name} is never {value!r}; its values are {join_with_and(known)}"


def _match_line(match: Match) -> str:
    because = ", ".join(map(str, match.matchers)) or "it takes everything"
    return f"{match.receiver}  by {match.path}: {because}"


def _match_facts(match: Match) -> dict[str, object]:
    return {
        "receiver": match.receiver,
        "route": match.path,
        "matchers": [str(matcher) for matcher in match.matchers],
        "group_by": list(match.group_by),
        "digest": match.digest.name if match.digest else "",
        "muted_by": [interval.name for interval in match.mute],
        "active_by": [interval.name for interval in match.active],
    }


def _render_tree(route: Route) -> Tree:
    from rich.tree import Tree

    tree = Tree(f"{route.receiver}  takes everything")
    _add_branches(tree, route)
    return tree


def _add_branches(tree: Tree, route: Route) -> None:
    for child in route.routes:
        words = [child.receiver or "(the same)", ", ".join(map(str, child.matchers)) or "takes everything"]
        if child.continue_:
            words.append("and on")
        if child.digest:
            words.append(f"digest: {child.digest.name}")
        words += [f"mute: {interval.name}" for interval in child.mute]
        words += [f"active: {interval.name}" for interval in child.active]
        _add_branches(tree.add("  ".join(words)), child)
