"""Shows what arrived as its readers see it: a Slack post, a mail, a signed request."""

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


def channel_of(receipt: Receipt) -> str:
    """``slack``, ``webhook`` or ``email``."""
    return CHANNELS[type(receipt)]


def in_full(receipt: Receipt) -> RenderableType:
    """The whole of it, in a frame."""
    match receipt:
        case SlackPost():
            return _frame("slack", "#coalition-desk", _slack(receipt.payload))
        case WebhookPost():
            return _frame("webhook", "POST /hook", _webhook(receipt))
        case MailReceived():
            return _frame("email", ", ".join(receipt.envelope.recipients), _mail(receipt))


def _frame(channel: str, where: str, body: RenderableType) -> Panel:
    return Panel(
        body,
        box=box.ROUNDED,
        border_style=COLOURS[channel],
        title=Text.assemble((f" {channel} ", f"bold reverse {COLOURS[channel]}"), f" {where} "),
        title_align="left",
        padding=(0, 1),
    )


# -- Slack


def _slack(payload: Mapping[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [*_blocks(payload.get("blocks", ())), Text()]
    for attachment in payload.get("attachments", ()):
        parts.append(_Barred(Group(*_blocks(attachment["blocks"])), attachment["color"]))
    return Group(*parts)


def _blocks(blocks: Iterable[Mapping[str, Any]]) -> Iterable[RenderableType]:
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
                yield mrkdwn(block["text"]["text"])
            case "context":
                for element in block["elements"]:
                    text = mrkdwn(element["text"])
                    text.stylize("dim")
                    yield text
            case "divider":
                yield Rule(style="dim")
            case _:
                yield Text(f"[{kind}]", style="dim")


class _Barred:
    """Something with a coloured bar at its left, as Slack shows an attachment."""

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


def mrkdwn(text: str) -> Text:
    """Slack's markup, as far as alertd writes it, in the terminal's."""
    shown = Text()
    place = 0
    for found in _MARKS.finditer(text):
        begins_a_word = found.start() == 0 or not text[found.start() - 1].isalnum()
        if found["mark"] and not begins_a_word:
            continue
        shown.append(_unescaped(text[place : found.start()]))
        if found["mark"]:
            shown.append(_unescaped(found["inner"]), style=_STYLES[found["mark"]])
        else:
            url = _unescaped(found["url"])
            shown.append(_unescaped(found["label"] or url), style=f"underline blue link {url}")
        place = found.end()
    shown.append(_unescaped(text[place:]))
    return shown


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# -- mail


def _mail(receipt: MailReceived) -> RenderableType:
    head = Text()
    for name in ("From", "To", "Subject", "Message-ID"):
        head.append(f"{name}: ", style="dim")
        head.append(f"{receipt.mail[name]}\n", style="bold" if name == "Subject" else "")
    head.append("Parts: ", style="dim")
    head.append(", ".join(part.get_content_type() for part in receipt.mail.walk() if not part.is_multipart()))
    return Group(head, Rule(style="dim"), Text(receipt.part("plain").rstrip().replace("\r\n", "\n")))


# -- webhook


def _webhook(receipt: WebhookPost) -> RenderableType:
    head = Text()
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        head.append(f"{name}: ", style="dim")
        head.append(receipt.headers.get(name, ""))
        head.append("\n")
    if receipt.is_genuine:
        head.append("✓ the signature fits", style="bold green")
    else:
        head.append("✗ the signature does not fit", style="bold red")
    return Group(head, Rule(style="dim"), JSONHighlighter()(_json(_essentials(receipt.payload))))


def _json(value: object) -> str:
    """Indented, but for the innermost objects, which take a line each."""
    indented = json.dumps(value, indent=2, ensure_ascii=False)
    return re.sub(r"\{[^{}]*\}", lambda found: " ".join(found[0].split()), indented)


def _essentials(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a program would look at first; the rest is left out here."""
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
