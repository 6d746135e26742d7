"""``alertd preview``: show how a reminder would look, without sending it."""

from __future__ import annotations

import html
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl

import typer

from alertd.cli.loading import run_to_end
from alertd.cli.options import ConfigOption, MilestoneArgument
from alertd.cli.paper import warn

if TYPE_CHECKING:
    from alertd.cli.trial import RenderedPreview
    from alertd.core.config import Config, Definitions
    from alertd.core.explain.rehearsal import Rehearsal
    from alertd.notify.base import Rendered


DOTS = {"🔵": "#3b88c3", "🟠": "#f4900c", "🔴": "#dd2e44", "🟣": "#aa8ed6", "🟢": "#78b159"}
SLACK_STYLE = """
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
MAIL = "message/rfc822"
FORM = "application/x-www-form-urlencoded"
CANNOT = "It cannot show what it would send."
READ = ("From", "To", "Subject", "Date")
"""The headers that are shown to people. JSON shows all headers."""

PAGE_STYLE = """
:root { color-scheme: light dark; --line: #d0d4da; --quiet: #5b6470; }
@media (prefers-color-scheme: dark) { :root { --line: #3a4048; --quiet: #9aa4b0; } }
body { margin: 0; padding: 24px; font: 15px/1.5 system-ui, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 20px; margin: 0 0 4px } h2 { font-size: 16px; margin: 32px 0 8px }
p, dl { color: var(--quiet); margin: 4px 0 12px } h2 small { font-weight: 400; color: var(--quiet) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 12px } dd { margin: 0 }
iframe { width: 100%; height: 1000px; border: 1px solid var(--line); border-radius: 6px; resize: both }
pre { border: 1px solid var(--line); border-radius: 6px; padding: 12px; overflow: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace }
.slack { border: 1px solid var(--line); border-radius: 6px; max-width: 100%; }
"""
_BREAK = re.compile(r"(?<!\\)((?:\\\\)*)\\n")
# The page shows text that other people wrote, so it must not run scripts or fetch anything.
_RULES = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class PreviewFormat(StrEnum):
    """The output format of a preview."""

    TERMINAL = "terminal"
    HTML = "html"
    JSON = "json"


def preview(
    receiver: Annotated[str, typer.Argument(metavar="RECEIVER", show_default=False)],
    milestone: MilestoneArgument,
    *,
    cause: Annotated[
        str,
        typer.Option(
            "--cause",
            metavar="CAUSE",
            help="opens, approaching, due, overdue, moved or done.",
            show_default=False,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="T",
            help="Show the last reminder due by then, as of that time.  [default: the next one, on time]",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        PreviewFormat,
        typer.Option("--format", help="terminal or html for people, json for the exact bodies."),
    ] = PreviewFormat.TERMINAL,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the preview to this file.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Show what each notifier of a receiver would send about a milestone. Nothing is sent.

    Works from the files alone: what the ledger knows is not looked at. Each body is exactly what would be
    sent, except for secrets. Exits 1 when a notifier cannot show what it sends.
    """
    from alertd.cli import trial
    from alertd.cli.loading import find_receiver, load_usable_definitions, read_settings

    settings = read_settings(config)
    definitions, configuration = load_usable_definitions(settings)
    name = find_receiver(receiver, configuration)
    rehearsal = _rehearse(milestone, name, cause, (definitions, configuration), at)
    if not configuration.receivers[name].notifiers:
        warn(f"{name} has no notifier: nothing would be sent")
    if not rehearsal.is_routed:
        warn(f"no route leads this to {name}; `alertd explain {rehearsal.record.id}` says who gets it")
    if rehearsal.supposed:
        warn(rehearsal.supposed)
    # The console notifier uses colours only if its output goes to the terminal.
    console = sys.stdout if form is PreviewFormat.TERMINAL and out is None else io.StringIO()
    shown = run_to_end(trial.preview(configuration, settings.config, rehearsal, console))
    if form is PreviewFormat.JSON:
        text = render_json(shown)
    elif form is PreviewFormat.HTML:
        text = render_html(shown, rehearsal)
    else:
        text = render_text(shown)
    if out is None:
        typer.echo(text, nl=False, color=True)
    else:
        _write(out, text)
    if not all(each.bodies for each in shown):
        raise typer.Exit(1)


def _rehearse(
    name: str, receiver: str, cause_name: str, found: tuple[Definitions, Config], at: str | None
) -> Rehearsal:
    from alertd import app
    from alertd.cli.loading import find_milestone
    from alertd.cli.options import read_moment
    from alertd.core.explain.explanation import find_instance
    from alertd.core.explain.rehearsal import rehearse
    from alertd.core.milestones.occurrence import Cause
    from alertd.core.milestones.recurrence import get_series_id
    from alertd.errors import UnknownMilestone

    if cause_name not in set(Cause):
        raise typer.BadParameter(f"{cause_name!r} is none; there is {', '.join(Cause)}", param_hint="--cause")
    cause = Cause(cause_name)
    definitions, configuration = found
    known, now = app.resolve_milestones(definitions), app.now()
    full = find_milestone(get_series_id(name), known)
    series = known[full]
    moment = read_moment(at, "--at", zone=series.zone, now=now, at=series.policy.at) if at else None
    instance, _ = find_instance(series, name, moment or now)
    if instance is None:
        raise UnknownMilestone(f"{name}: the series has no such instance")
    made = rehearse(instance, receiver, cause, configuration.route, at=moment, now=now)
    if made is None:
        raise typer.BadParameter(
            f"{instance.id} never has a reminder {cause.value!r}; "
            f"`alertd explain {instance.id}` lists what it has",
            param_hint="--cause",
        )
    return made


def _write(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        why = error.strerror or "it cannot be written"
        raise typer.BadParameter(f"{path}: {why}", param_hint="--out") from None
    typer.echo(f"wrote {path}")


def draw_post(
    payload: Mapping[str, Any], at: str = "", note: str = "", names: Mapping[str, str] | None = None
) -> str:
    """Draw a Slack message as HTML that looks roughly as in Slack. An unknown block is shown as its JSON.

    Args:
        payload: the body of the request to Slack.
        at: the time to show beside the sender.
        note: a line to show above the message.
        names: the text to show for a mention, by the mention's markup, such as ``<!here>``.
    """
    known = names or {}
    blocks = "".join(_draw_block(block, known) for block in payload.get("blocks", []))
    blocks = blocks or f'<div class="section">{_draw_markup(str(payload.get("text", "")), known)}</div>'
    attached = "".join(_draw_attachment(attachment, known) for attachment in payload.get("attachments", []))
    above = f'<div class="note">{html.escape(note)}</div>' if note else ""
    return (
        f'<div class="message"><div class="avatar">a</div><div class="content">'
        f'<div class="who">alertd<i>APP</i>'
        f"<small>{html.escape(at)}</small></div>{above}{blocks}{attached}</div></div>"
    )


def _draw_attachment(attachment: Mapping[str, Any], names: Mapping[str, str]) -> str:
    color = html.escape(str(attachment.get("color", "#ccc")))
    blocks = "".join(_draw_block(block, names) for block in attachment.get("blocks", []))
    return f'<div class="attached" style="border-color: {color}">{blocks}</div>'


def _draw_block(block: Mapping[str, Any], names: Mapping[str, str]) -> str:
    match block:
        case {"type": "header", "text": {"text": str(text)}}:
            return f"<h3>{_draw_dots(html.escape(text))}</h3>"
        case {"type": "section", "text": {"text": str(text)}}:
            return f'<div class="section">{_draw_markup(text, names)}</div>'
        case {"type": "context", "elements": [{"text": str(text)}]}:
            return f'<div class="context">{_draw_markup(text, names)}</div>'
        case {"type": "actions", "elements": [*elements]}:
            labels = [html.escape(element["text"]["text"]) for element in elements]
            buttons = "".join(f'<span class="button">{label}</span>' for label in labels)
            return f'<div class="actions">{buttons}</div>'
        case {"type": "divider"}:
            return "<hr>"
        case _:
            return f"<pre>{html.escape(json.dumps(block, ensure_ascii=False, indent=2))}</pre>"


def _draw_dots(text: str) -> str:
    """Replace the emoji circles by drawn circles, because some machines have no emoji font."""
    from alertd.notify.render.palette import PALETTES

    for palette in PALETTES.values():
        text = text.replace(
            palette.mark, f'<span class="dot" style="background: {DOTS[palette.mark]}"></span>'
        )
    return text


def _draw_markup(text: str, names: Mapping[str, str]) -> str:
    """Convert Slack's markup to HTML.

    Slack's markup escapes ``&``, ``<`` and ``>`` as HTML does, so the escaped characters stay unchanged.
    """
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
    return re.sub(r"\x00(\d+)\x00", lambda found: held[int(found[1])], _draw_dots(text))


def render_json(shown: Sequence[RenderedPreview]) -> str:
    """Return a JSON array with an object for each body. ``body`` is exactly the text that would be sent."""
    rows = [
        {
            "channel": result.channel,
            "type": result.type,
            "media_type": body.media_type,
            "body": body.text,
            **({"note": body.note} if body.note else {}),
        }
        for result in shown
        for body in result.bodies
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"


def render_text(shown: Sequence[RenderedPreview]) -> str:
    """Return each body as text under a line with its channel. Mails are decoded, and JSON is indented."""
    parts = []
    for result in shown:
        if not result.bodies:
            parts.append(f"{_rule_line(result.channel)}\n{CANNOT}\n")
        for at, body in enumerate(result.bodies, 1):
            part = f", {at} of {len(result.bodies)}" if len(result.bodies) > 1 else ""
            note = f"({body.note})\n" if body.note else ""
            text = _readable_text(body).rstrip("\n")
            parts.append(f"{_rule_line(f'{result.channel} · {body.media_type}{part}')}\n{note}{text}\n")
    return "\n".join(parts)


def render_html(shown: Sequence[RenderedPreview], rehearsal: Rehearsal) -> str:
    """Return an HTML page: the HTML of mails unchanged, Slack messages drawn, and other bodies as text."""
    from alertd.core.explain.facts import format_utc

    record, first = rehearsal.record, rehearsal.owed[0]
    title = f"{first.cause.value}: {record.milestone.title}"
    about = f"{record.id} to {rehearsal.receiver}, as of {format_utc(rehearsal.at)}. Nothing was sent."
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="content-security-policy" content="{html.escape(_RULES)}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{html.escape(title)}</title>\n'
        f"<style>{PAGE_STYLE}{SLACK_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(about)}</p>\n"
        + "\n".join(_render_sections(shown))
        + "\n</body>\n</html>\n"
    )


def _render_sections(shown: Iterable[RenderedPreview]) -> Iterator[str]:
    for result in shown:
        for body in result.bodies:
            about = f"{result.type}, {body.media_type}" + (f"; {body.note}" if body.note else "")
            yield f"<h2>{html.escape(result.channel)} <small>{html.escape(about)}</small></h2>"
            yield _draw_body(result.type, body)
        if not result.bodies:
            yield f"<h2>{html.escape(result.channel)}</h2><p>{CANNOT}</p>"


def _draw_body(type_name: str, body: Rendered) -> str:

    if body.media_type == MAIL:
        mail = _parse_mail(body)
        heads = "".join(
            f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in _mail_headers(mail)
        )
        # The frame keeps the styles of the mail and of the page apart.
        frame = f'<iframe sandbox title="The mail" srcdoc="{html.escape(_mail_part(mail, "html"))}"></iframe>'
        return f"<dl>{heads}</dl>{frame}"
    if type_name == "slack":
        return f'<div class="slack">{draw_post(json.loads(body.text))}</div>'
    return f"<pre>{html.escape(_readable_text(body))}</pre>"


def _readable_text(body: Rendered) -> str:
    if body.media_type == MAIL:
        mail = _parse_mail(body)
        heads = "".join(f"{name}: {value}\n" for name, value in _mail_headers(mail))
        return f"{heads}\n{_mail_part(mail, 'plain')}"
    if body.media_type == "application/json" or body.media_type.endswith("+json"):
        try:
            return _break_lines(json.dumps(json.loads(body.text), ensure_ascii=False, indent=2))
        except ValueError:  # a user's template may produce invalid JSON
            return body.text
    if body.media_type == FORM:
        return "\n".join(f"{name}: {value}" for name, value in parse_qsl(body.text, keep_blank_values=True))
    return body.text


def _break_lines(text: str) -> str:
    r"""Replace each ``\n`` in JSON texts by a line break. The result is for people; it is not valid JSON."""
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines.append(_BREAK.sub(lambda found, by=indent: f"{found[1]}\n{by}", line))  # type: ignore[misc]
    return "\n".join(line.rstrip() for block in lines for line in block.split("\n"))


def _parse_mail(body: Rendered) -> EmailMessage:
    mail = message_from_bytes(body.text.encode("utf-8", "surrogateescape"), policy=SMTP)
    assert isinstance(mail, EmailMessage)  # noqa: S101  the policy makes it one
    return mail


def _mail_headers(mail: EmailMessage) -> list[tuple[str, str]]:
    enclosed = ", ".join(part.get_filename("") for part in mail.iter_attachments())
    heads = [(name, str(mail[name])) for name in READ if mail[name]]
    return [*heads, ("Enclosed", enclosed)] if enclosed else heads


def _mail_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""


def _rule_line(text: str) -> str:
    start = f"── {text} "
    return start + "─" * max(3, 78 - len(start))
