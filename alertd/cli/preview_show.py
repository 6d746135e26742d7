"""Previews as text for a terminal, as one HTML page, and as JSON."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from alertd.cli.slack_page import STYLE as SLACK_STYLE
from alertd.cli.slack_page import post_html
from alertd.core.explain.facts import utc_text

if TYPE_CHECKING:
    from alertd.cli.trial import RenderedPreview
    from alertd.core.explain.rehearsal import Rehearsal
    from alertd.notify.base import Rendered

MAIL = "message/rfc822"
CANNOT = "It cannot show what it would send."
READ = ("From", "To", "Subject", "Date")
"""Headers that a person reads; JSON has them all."""

_STYLE = """
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
# Nothing of it may run or be fetched: it shows what others wrote.
_RULES = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def as_json(shown: Sequence[RenderedPreview]) -> str:
    """One object a body; ``body`` is the text that would be sent, to the byte."""
    rows = [
        {
            "channel": one.channel,
            "type": one.type,
            "media_type": body.media_type,
            "body": body.text,
            **({"note": body.note} if body.note else {}),
        }
        for one in shown
        for body in one.bodies
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"


def as_text(shown: Sequence[RenderedPreview]) -> str:
    """Each body under a line that names its channel: mails as their readers see them, JSON as it is read."""
    parts = []
    for one in shown:
        if not one.bodies:
            parts.append(f"{_rule(one.channel)}\n{CANNOT}\n")
        for at, body in enumerate(one.bodies, 1):
            part = f", {at} of {len(one.bodies)}" if len(one.bodies) > 1 else ""
            note = f"({body.note})\n" if body.note else ""
            text = _text(body).rstrip("\n")
            parts.append(f"{_rule(f'{one.channel} · {body.media_type}{part}')}\n{note}{text}\n")
    return "\n".join(parts)


def as_html(shown: Sequence[RenderedPreview], rehearsal: Rehearsal) -> str:
    """One page: a mail's HTML as it is, Slack's blocks drawn, anything else as text."""
    record, first = rehearsal.record, rehearsal.owed[0]
    title = f"{first.cause.value}: {record.milestone.title}"
    about = f"{record.id} to {rehearsal.receiver}, as of {utc_text(rehearsal.at)}. Nothing was sent."
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="content-security-policy" content="{html.escape(_RULES)}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{html.escape(title)}</title>\n'
        f"<style>{_STYLE}{SLACK_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(about)}</p>\n"
        + "\n".join(_sections(shown))
        + "\n</body>\n</html>\n"
    )


def _sections(shown: Iterable[RenderedPreview]) -> Iterator[str]:
    for one in shown:
        for body in one.bodies:
            about = f"{one.type}, {body.media_type}" + (f"; {body.note}" if body.note else "")
            yield f"<h2>{html.escape(one.channel)} <small>{html.escape(about)}</small></h2>"
            yield _drawn(one.type, body)
        if not one.bodies:
            yield f"<h2>{html.escape(one.channel)}</h2><p>{CANNOT}</p>"


def _drawn(type_name: str, body: Rendered) -> str:
    if body.media_type == MAIL:
        mail = _mail(body)
        heads = "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in _heads(mail))
        # Apart from the page, so that neither's styles reach the other.
        frame = f'<iframe sandbox title="The mail" srcdoc="{html.escape(_part(mail, "html"))}"></iframe>'
        return f"<dl>{heads}</dl>{frame}"
    if type_name == "slack":
        return f'<div class="slack">{post_html(json.loads(body.text))}</div>'
    return f"<pre>{html.escape(_text(body))}</pre>"


def _text(body: Rendered) -> str:
    if body.media_type == MAIL:
        mail = _mail(body)
        heads = "".join(f"{name}: {value}\n" for name, value in _heads(mail))
        return f"{heads}\n{_part(mail, 'plain')}"
    if body.media_type == "application/json" or body.media_type.endswith("+json"):
        try:
            return _broken(json.dumps(json.loads(body.text), ensure_ascii=False, indent=2))
        except ValueError:  # a template may make what it likes
            return body.text
    return body.text


def _broken(text: str) -> str:
    """JSON with the line breaks of its texts as such: for reading only."""
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines.append(_BREAK.sub(lambda found, by=indent: f"{found[1]}\n{by}", line))  # type: ignore[misc]
    return "\n".join(line.rstrip() for one in lines for line in one.split("\n"))


def _mail(body: Rendered) -> EmailMessage:
    mail = message_from_bytes(body.text.encode("utf-8", "surrogateescape"), policy=SMTP)
    assert isinstance(mail, EmailMessage)  # noqa: S101  the policy makes it one
    return mail


def _heads(mail: EmailMessage) -> list[tuple[str, str]]:
    enclosed = ", ".join(part.get_filename("") for part in mail.iter_attachments())
    heads = [(name, str(mail[name])) for name in READ if mail[name]]
    return [*heads, ("Enclosed", enclosed)] if enclosed else heads


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""


def _rule(text: str) -> str:
    start = f"── {text} "
    return start + "─" * max(3, 78 - len(start))
