"""Draws a Slack message from its blocks as HTML, for people to look at: as like Slack as that helps.

Takes what alertd posts, and shows a block that it does not know as its JSON.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from alertd.notify.render.palette import LOOKS

DOTS = {"🔵": "#3b88c3", "🟠": "#f4900c", "🔴": "#dd2e44", "🟣": "#aa8ed6", "🟢": "#78b159"}

STYLE = """
.slack { box-sizing: border-box;
  --page: #fff; --ink: #1d1c1d; --quiet: #616061; --line: #dddddd; --link: #1264a3; --button: #fff;
  --edge: #bbbabb; --told: #fff0c2; --told-ink: #1264a3; --thread: #f8f8f8; --code: #c01343;
  padding: 20px 24px; background: var(--page); color: var(--ink); width: 720px;
  font: 15px/1.47 Lato, "Noto Sans", "DejaVu Sans", "Noto Color Emoji", sans-serif; }
@media (prefers-color-scheme: dark) { .slack {
  --page: #1a1d21; --ink: #d1d2d3; --quiet: #ababad; --line: #3a3d42; --link: #4ba6de; --button: #1a1d21;
  --edge: #6b6d70; --told: #4b3f1a;
  --told-ink: #f0c86a; --thread: #222529;
  --code: #e8912d } }
.slack * { box-sizing: border-box }
.slack .message { display: flex; gap: 10px; margin-bottom: 18px; }
.slack .message:last-child { margin-bottom: 0 }
.slack .avatar { flex: none; width: 36px; height: 36px; border-radius: 8px; background: #1f6296; color: #fff;
  font-weight: 700; font-size: 19px; text-align: center; line-height: 36px; }
.slack .content { min-width: 0; flex: 1 }
.slack .who { font-weight: 700; }
.slack .who i { font: 700 10px/14px Lato, "Noto Sans", sans-serif; padding: 1px 4px; border-radius: 3px;
  background: var(--line); color: var(--quiet); margin: 0 6px; vertical-align: 2px; }
.slack .who small { font-weight: 400; color: var(--quiet); font-size: 12px }
.slack .note { font-size: 13px; color: var(--quiet); margin: 1px 0 4px; }
.slack h3 { font-size: 18px; line-height: 1.33; margin: 6px 0 8px; font-weight: 800; }
.slack .section { margin: 6px 0; white-space: pre-line; overflow-wrap: anywhere; }
.slack .context { margin: 8px 0 4px; font-size: 12.5px; line-height: 1.4; color: var(--quiet);
  white-space: pre-line; overflow-wrap: anywhere; }
.slack .actions { display: flex; gap: 8px; margin: 10px 0; flex-wrap: wrap; }
.slack .button { border: 1px solid var(--edge); border-radius: 8px; padding: 3px 12px; font-weight: 700;
  font-size: 13px; background: var(--button); }
.slack .attached { border-left: 4px solid; border-radius: 4px; padding: 1px 0 1px 14px; margin-top: 10px; }
.slack a { color: var(--link); text-decoration: none } .slack s { color: var(--quiet) }
.slack .told { background: var(--told); color: var(--told-ink); border-radius: 3px; padding: 0 3px; }
.slack .dot { display: inline-block; width: .95em; height: .95em; border-radius: 50%; vertical-align: -.12em;
  margin-right: 1px }
.slack hr { border: 0; border-top: 1px solid var(--line); margin: 12px 0 10px }
.slack code { font: 12px/1.5 "DejaVu Sans Mono", monospace; color: var(--code); border: 1px solid var(--line);
  border-radius: 3px; padding: 1px 3px; background: var(--thread) }
.slack .thread { margin-left: 46px; border-left: 2px solid var(--line); padding-left: 14px; }
"""

_MENTION = re.compile(r"[@!#].*")


def post_html(
    payload: Mapping[str, Any], at: str = "", note: str = "", names: Mapping[str, str] | None = None
) -> str:
    """One message; ``payload`` is the body of the request.

    Args:
        names: from a mention as it is written, such as ``<!here>``, to what is shown for it.
    """
    known = names or {}
    blocks = "".join(_block(block, known) for block in payload.get("blocks", []))
    blocks = blocks or f'<div class="section">{_marked(str(payload.get("text", "")), known)}</div>'
    attached = "".join(_attachment(one, known) for one in payload.get("attachments", []))
    above = f'<div class="note">{html.escape(note)}</div>' if note else ""
    return (
        f'<div class="message"><div class="avatar">a</div><div class="content">'
        f'<div class="who">alertd<i>APP</i>'
        f"<small>{html.escape(at)}</small></div>{above}{blocks}{attached}</div></div>"
    )


def _attachment(attachment: Mapping[str, Any], names: Mapping[str, str]) -> str:
    color = html.escape(str(attachment.get("color", "#ccc")))
    blocks = "".join(_block(block, names) for block in attachment.get("blocks", []))
    return f'<div class="attached" style="border-color: {color}">{blocks}</div>'


def _block(block: Mapping[str, Any], names: Mapping[str, str]) -> str:
    match block:
        case {"type": "header", "text": {"text": str(text)}}:
            return f"<h3>{_dotted(html.escape(text))}</h3>"
        case {"type": "section", "text": {"text": str(text)}}:
            return f'<div class="section">{_marked(text, names)}</div>'
        case {"type": "context", "elements": [{"text": str(text)}]}:
            return f'<div class="context">{_marked(text, names)}</div>'
        case {"type": "actions", "elements": [*elements]}:
            labels = [html.escape(one["text"]["text"]) for one in elements]
            buttons = "".join(f'<span class="button">{label}</span>' for label in labels)
            return f'<div class="actions">{buttons}</div>'
        case {"type": "divider"}:
            return "<hr>"
        case _:
            return f"<pre>{html.escape(json.dumps(block, ensure_ascii=False, indent=2))}</pre>"


def _dotted(text: str) -> str:
    """With the coloured circles drawn: not every machine has a font of emoji, and Slack draws its own."""
    for look in LOOKS.values():
        text = text.replace(look.mark, f'<span class="dot" style="background: {DOTS[look.mark]}"></span>')
    return text


def _marked(text: str, names: Mapping[str, str]) -> str:
    """Slack's markup as HTML. Its three control characters come escaped, just as HTML wants them."""
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        url, _, label = found[1].partition("|")
        if found[0] in names or _MENTION.match(found[1]):
            shown = names.get(found[0]) or label or "@" + url.lstrip("@!#")
            held.append(f'<span class="told">{html.escape(shown, quote=False)}</span>')
        else:
            place = (
                html.escape(html.unescape(url)) if url.startswith(("http://", "https://", "mailto:")) else ""
            )
            held.append(f'<a href="{html.escape(place)}">{label or url}</a>')
        return f"\x00{len(held) - 1}\x00"

    text = re.sub(r"<([^<>]+)>", hold, text.replace("\x00", ""))
    for mark, tag in (("`", "code"), ("*", "b"), ("_", "em"), ("~", "s")):
        text = re.sub(
            rf"(?<!\w){re.escape(mark)}(\S(?:[^\n]*?\S)?){re.escape(mark)}(?!\w)", rf"<{tag}>\1</{tag}>", text
        )
    return re.sub(r"\x00(\d+)\x00", lambda found: held[int(found[1])], _dotted(text))
