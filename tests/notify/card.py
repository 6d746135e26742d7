"""Checks an Adaptive Card against the documentation of version 1.4 and of Teams.

Written from https://adaptivecards.io/explorer/ (the pages of each element) and from
https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

SPACINGS = {"None", "Small", "Default", "Medium", "Large", "ExtraLarge", "Padding"}
SIZES = {"Small", "Default", "Medium", "Large", "ExtraLarge"}
WEIGHTS = {"Lighter", "Default", "Bolder"}
STYLES = {"default", "emphasis", "good", "attention", "warning", "accent"}
MAX_ACTIONS = 6
"""The types of a card's actions that Teams shows."""

CARD_KEYS = {"$schema", "type", "version", "msteams", "fallbackText", "body", "actions"}
CONTAINER_KEYS = {"type", "style", "bleed", "items", "spacing"}
BLOCK_KEYS = {"type", "inlines", "spacing"}
RUN_KEYS = {
    "type",
    "text",
    "weight",
    "italic",
    "strikethrough",
    "fontType",
    "size",
    "isSubtle",
    "selectAction",
}
ACTION_KEYS = {"type", "title", "url"}


def faults(card: Mapping[str, Any]) -> list[str]:
    """Return the faults of a card."""
    return list(_faults(card))


def texts(card: Mapping[str, Any]) -> list[str]:
    """Return the text of each block, in the order in which people read it."""
    blocks = [block for element in card["body"] for block in element.get("items", [element])]
    return ["".join(run["text"] for run in block["inlines"]) for block in blocks]


def _faults(card: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(card, CARD_KEYS)
    if (card["type"], card["version"]) != ("AdaptiveCard", "1.4"):
        yield "no card of version 1.4"
    if not card["body"]:
        yield "an empty body"
    for element in card["body"]:
        yield from _element(element)
    if len(card["actions"]) > MAX_ACTIONS:
        yield "too many actions"
    for action in card["actions"]:
        yield from _action(action)
        if not action.get("title"):
            yield "an action without a title"


def _element(element: Mapping[str, Any]) -> Iterator[str]:
    if element.get("spacing", "Default") not in SPACINGS:
        yield f"spacing {element['spacing']}"
    match element["type"]:
        case "Container":
            yield from _unknown(element, CONTAINER_KEYS)
            if element["style"] not in STYLES:
                yield f"style {element['style']}"
            for item in element["items"]:
                yield from _element(item)
        case "RichTextBlock":
            yield from _unknown(element, BLOCK_KEYS)
            if not element["inlines"]:
                yield "a block without text"
            for run in element["inlines"]:
                yield from _run(run)
        case other:
            yield f"an element {other}"


def _run(run: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(run, RUN_KEYS)
    if run["type"] != "TextRun" or not isinstance(run["text"], str) or not run["text"]:
        yield "no run of text"
    if run.get("size", "Default") not in SIZES or run.get("weight", "Default") not in WEIGHTS:
        yield f"a size or weight that there is not: {run}"
    if run.get("fontType", "Default") not in ("Default", "Monospace"):
        yield f"font {run['fontType']}"
    if "selectAction" in run:
        yield from _action(run["selectAction"])


def _action(action: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(action, ACTION_KEYS)
    if action["type"] != "Action.OpenUrl" or urlsplit(action["url"]).scheme not in ("http", "https"):
        yield f"an action that opens nothing: {action}"


def _unknown(value: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    yield from (f"unknown key {name}" for name in value.keys() - known)
