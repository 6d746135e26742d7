"""Renders messages as their readers see them: Slack posts, mails and signed requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.highlighter import JSONHighlighter
from rich.panel import Panel
from rich.rule import Rule
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from alertd.demo.inbox import MailReceived, Receipt, SlackPost, WebhookPost

CHANNELS: Mapping[type[Receipt], str] = {SlackPost: "slack", WebhookPost: "webhook", MailReceived: "email"}
COLOURS: Mapping[str, str] = {"slack": "magenta", "webhook": "cyan", "email": "yellow"}


def find_channel(receipt: Receipt) -> str:
    """Return ``slack``, ``webhook`` or ``email``."""
    return CHANNELS[type(receipt)]


def render_in_full(receipt: Receipt) -> RenderableType:
    """Render the whole message in a frame."""
    match receipt:
        case SlackPost():
            return _render_frame("slack", "#coalition-desk", _render_slack(receipt.payload))
        case WebhookPost():
            return _render_frame("webhook", "POST /hook", _render_webhook(receipt))
        case MailReceived():
            return _render_frame("email", ", ".join(receipt.envelope.recipients), _render_mail(receipt))


def _render_frame(channel: str, where: str, body: RenderableType) -> Panel:
    return Panel(
        body,
        box=box.ROUNDED,
        border_style=COLOURS[channel],
        title=Text.assemble((f" {channel} ", f"bold reverse {COLOURS[channel]}"), f" {where} "),
        title_align="left",
        padding=(0, 1),
    )


# -- Slack


def _render_slack(payload: Mapping[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [*_render_blocks(payload.get("blocks", ())), Text()]
    for attachment in payload.get("attachments", ()):
        parts.append(_Barred(Group(*_render_blocks(attachment["blocks"])), attachment["color"]))
    return Group(*parts)


def _render_blocks(blocks: Iterable[Mapping[str, Any]]) -> Iterable[RenderableType]:
    before = ""
    for block in blocks:
        both = (before, block["type"])
        if before and "divider" not in both and both != ("context", "context"):
            yield Text()
        before = block["type"]
        kind: str = block["type"]
        match kind:
            case "header":
                yield Text(block["text"]["text"], style="bold")
            case "section":
                yield render_mrkdwn(block["text"]["text"])
            case "context":
                for element in block["elements"]:
                    text = render_mrkdwn(element["text"])
                    text.stylize("dim")
                    yield text
            case "divider":
                yield Rule(style="dim")
            case _:
                yield Text(f"[{kind}]", style="dim")


class _Barred:
    """Content with a coloured bar on its left, as Slack shows an attachment."""

    def __init__(self, body: RenderableType, colour: str) -> None:
        self._body = body
        self._style = Style.parse(colour)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=options.max_width - 2)
        for line in console.render_lines(self._body, inner, pad=False):
            yield Segment("▌ ", self._style)
            yield from line
            yield Segment.line()


_MARKS = re.compile(
    r"<(?P<url>[^|>]+)(?:\|(?P<label>[^>]*))?>|(?P<mark>[*_~])(?P<inner>[^\n]+?)(?P=mark)(?!\w)"
)
_STYLES = {"*": "bold", "_": "italic", "~": "strike dim"}


def render_mrkdwn(text: str) -> Text:
    """Render the subset of Slack's markup that alertd writes as styled text."""
    shown = Text()
    place = 0
    for found in _MARKS.finditer(text):
        begins_a_word = found.start() == 0 or not text[found.start() - 1].isalnum()
        if found["mark"] and not begins_a_word:
            continue
        shown.append(_unescape(text[place : found.start()]))
        if found["mark"]:
            shown.append(_unescape(found["inner"]), style=_STYLES[found["mark"]])
        else:
            url = _unescape(found["url"])
            shown.append(_unescape(found["label"] or url), style=f"underline blue link {url}")
        place = found.end()
    shown.append(_unescape(text[place:]))
    return shown


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# -- mail


def _render_mail(receipt: MailReceived) -> RenderableType:
    head = Text()
    for name in ("From", "To", "Subject", "Message-ID"):
        head.append(f"{name}: ", style="dim")
        head.append(f"{receipt.mail[name]}\n", style="bold" if name == "Subject" else "")
    head.append("Parts: ", style="dim")
    head.append(", ".join(part.get_content_type() for part in receipt.mail.walk() if not part.is_multipart()))
    return Group(head, Rule(style="dim"), Text(receipt.part("plain").rstrip().replace("\r\n", "\n")))


# -- webhook


def _render_webhook(receipt: WebhookPost) -> RenderableType:
    head = Text()
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        head.append(f"{name}: ", style="dim")
        head.append(receipt.headers.get(name, ""))
        head.append("\n")
    if receipt.is_genuine:
        head.append("✓ the signature fits", style="bold green")
    else:
        head.append("✗ the signature does not fit", style="bold red")
    return Group(head, Rule(style="dim"), JSONHighlighter()(_to_json(_select_essentials(receipt.payload))))


def _to_json(value: object) -> str:
    """Return indented JSON in which each innermost object is on one line."""
    indented = json.dumps(value, indent=2, ensure_ascii=False)
    return re.sub(r"\{[^{}]*\}", lambda found: " ".join(found[0].split()), indented)


def _select_essentials(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the most important parts of a webhook's payload, so that the frame stays short."""
    wanted = ("milestone", "cause", "offset", "state", "contested", "tentative", "headline")
    items = [
        {
            **{name: item[name] for name in wanted},
            "claims": [
                {"edtf": claim["edtf"], "days": claim["days"], "live": claim["live"]}
                for claim in item["claims"]
            ],
        }
        for item in payload["data"]["items"]
    ]
    return {"type": payload["type"], "timestamp": payload["timestamp"], "items": items}
