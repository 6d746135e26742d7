"""Checks the limits of Slack's Block Kit, as its reference gives them. Shares no code with alertd.

Source: https://docs.slack.dev/reference/block-kit (blocks, block elements, composition objects) and
https://docs.slack.dev/reference/methods/chat.postMessage. The models of slack_sdk make a second check.
"""

import json
from collections.abc import Iterator
from typing import Any

from slack_sdk.models.blocks import Block

TEXTS = {"header": 150, "section": 3_000, "button": 75}
ELEMENTS = {"context": 10, "actions": 25}
BLOCKS, ATTACHMENTS, TEXT = 50, 100, 40_000
UPDATE_TEXT = 4_000
ATTACHED_BLOCKS = 20  # bolt-python issue 914
TOGETHER, EACH = 13_000, 125  # bolt-js issues 2509 and 2867


def length(text: str) -> int:
    """Return the length in UTF-16 code units, the largest number that Slack could count."""
    return len(text.encode("utf-16-le")) // 2


def faults(payload: dict[str, Any], *, update: bool = False) -> list[str]:
    """Return Slack's error codes for ``payload``; none if Slack would accept the payload."""
    blocks, attachments = payload.get("blocks", []), payload.get("attachments", [])
    attached = [block for attachment in attachments for block in attachment["blocks"]]
    found = [*_blocks("invalid_blocks", blocks), *_blocks("invalid_attachments", attached)]
    if not payload.get("text") and not blocks:
        found.append("no_text")
    if length(payload.get("text", "")) > (UPDATE_TEXT if update else TEXT):
        found.append("msg_too_long")
    if len(attachments) > ATTACHMENTS:
        found.append("too_many_attachments")
    if len(blocks) + len(attached) > BLOCKS:
        found.append("invalid_blocks: more than 50")
    if any(len(attachment["blocks"]) > ATTACHED_BLOCKS for attachment in attachments):
        found.append("invalid_attachments: more than 20 blocks")
    size = sum(length(json.dumps(block, ensure_ascii=False)) + EACH for block in [*blocks, *attached])
    if size > TOGETHER:
        found.append("msg_blocks_too_long")
    return found


def texts(value: Any) -> Iterator[str]:
    """Yield the text of every text object in a value."""
    if isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "plain_text"):
            yield value["text"]
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def _blocks(word: str, blocks: list[dict[str, Any]]) -> Iterator[str]:
    for at, block in enumerate(blocks):
        yield from (f"{word}[{at}]: {why}" for why in _block(block))
        try:
            parsed = Block.parse(block)
            assert parsed is not None
            parsed.validate_json()
        except Exception as error:  # slack_sdk may raise any error, and each is a fault
            yield f"{word}[{at}]: slack_sdk: {error}"


def _block(block: dict[str, Any]) -> Iterator[str]:  # noqa: PLR0912  a table
    kind = block["type"]
    match kind:
        case "header":
            if block["text"]["type"] != "plain_text":
                yield "a header with markup"
            yield from _text(block["text"]["text"], TEXTS["header"])
        case "section":
            yield from _text(block["text"]["text"], TEXTS["section"])
        case "context":
            if not 1 <= len(block["elements"]) <= ELEMENTS["context"]:
                yield "too many elements"
            for element in block["elements"]:
                yield from _text(element["text"], TEXTS["section"])
        case "actions":
            if not 1 <= len(block["elements"]) <= ELEMENTS["actions"]:
                yield "too many elements"
            names = [element["action_id"] for element in block["elements"]]
            if len(set(names)) < len(names):
                yield "an action_id twice"
            for element in block["elements"]:
                yield from _button(element)
        case "divider":
            if len(block) > 1:
                yield "a divider with something in it"
        case _:
            yield f"a block of type {kind}"


def _button(button: dict[str, Any]) -> Iterator[str]:
    if button["type"] != "button" or button["text"]["type"] != "plain_text":
        yield "not a button"
    yield from _text(button["text"]["text"], TEXTS["button"])
    for key, limit in (("action_id", 255), ("value", 2_000), ("url", 3_000)):
        if length(button.get(key, "")) > limit:
            yield f"{key} is too long"


def _text(text: str, limit: int) -> Iterator[str]:
    if not 1 <= length(text) <= limit:
        yield f"a text of {length(text)} where 1 to {limit} are allowed"
