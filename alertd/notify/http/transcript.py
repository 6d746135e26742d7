"""What was said to a receiver and what it answered, fit to be shown: for ``alertd send-test``.

Rules that hold here:
- nothing is kept that has not been through the hiding;
- of a URL there is its scheme and host, of a header that logs in its name;
- what has no end is cut: each side's turn has at most :data:`MAX_LINES` lines of :data:`MAX_LINE` characters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote as percent_encoded
from urllib.parse import urlsplit

from alertd.core.ledger.outcome import Rejected, Retry
from alertd.notify.http.redact import HIDDEN, MIN_SECRET, bare_urls, origin
from alertd.notify.render.clean import cut, line

if TYPE_CHECKING:
    from alertd.notify.http.client import Answer

MAX_LINES = 60
MAX_LINE = 500
MAX_ANSWER_LINES = 10

LOGS_IN = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
"""Headers of which only the name is shown."""


class Speaker(StrEnum):
    """Who speaks, as the mark before a line."""

    US = ">"
    THEM = "<"
    ABOUT = "*"


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One line, redacted; ABOUT is what alertd has to say of it."""

    by: Speaker
    text: str

    def __str__(self) -> str:
        return f"{self.by} {self.text}".rstrip()


@dataclass(slots=True)
class Transcript:
    """Lines in their order, and the secrets that must not be in them.

    Whoever sends hands over what it knows to be secret; ``hide`` adds what is secret whoever sends.
    """

    _lines: list[TranscriptLine] = field(default_factory=list)
    _secrets: set[str] = field(default_factory=set, repr=False)

    def hide(self, secret: str) -> None:
        self._secrets.add(secret.strip())

    def take(self) -> tuple[TranscriptLine, ...]:
        """What has been said since the last time."""
        taken = tuple(self._lines)
        self._lines.clear()
        return taken

    def concealed(self, text: str) -> str:
        return concealed(text, self._secrets)

    def add(self, by: Speaker, text: str, hidden: Iterable[str] = (), limit: int = MAX_LINES) -> None:
        """The lines of a text; what is beyond ``limit`` is counted."""
        # Cut only after the hiding: half a secret is one too.
        whole = concealed(text, {*self._secrets, *hidden}).splitlines() or [""]
        shown, rest = whole[:limit], len(whole) - limit
        self._lines += [TranscriptLine(by, _plain(one)) for one in shown]
        if rest > 0:
            self._lines.append(TranscriptLine(by, f"… and {rest} more line{'s' if rest > 1 else ''}"))

    def exchanged(self, request: Request | None, answer: Answer, hidden: Iterable[str]) -> None:
        """One HTTP request, unless none was written, and the answer or why there is none.

        Args:
            hidden: of the answer: a server may echo whatever it got, its own URL too.
        """
        if request is not None:
            self._posted(request)
        if isinstance(answer, Retry | Rejected):
            self.add(Speaker.ABOUT, answer.reason)
            return
        hidden = tuple(hidden)
        head = "\n".join([f"HTTP {answer.status}", *_headers(answer.headers)])
        self.add(Speaker.THEM, bare_urls(head), hidden)
        self.add(Speaker.THEM, "")
        self.add(Speaker.THEM, bare_urls(answer.body.decode("utf-8", "replace")), hidden, MAX_ANSWER_LINES)

    def _posted(self, request: Request) -> None:
        path = "/…" if urlsplit(request.url).path.strip("/") else "/"
        head = {"host": origin(request.url).partition("://")[2], **request.headers}
        self.add(
            Speaker.US, "\n".join([f"{request.method} {path} HTTP/1.1", *_headers(head)]), request.hidden
        )
        self.add(Speaker.US, "")
        self.add(Speaker.US, _indented(request.content), request.hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is posted, before it is redacted.

    Attributes:
        hidden: what of it is secret, beside what logs in.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)


def concealed(text: str, secrets: Iterable[str]) -> str:
    """``text`` without the secrets, in whichever form a request or an answer holds them."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def _forms(secret: str) -> Iterator[str]:
    """As it is, in JSON with and without escapes, percent-encoded, and in base64."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield percent_encoded(secret, safe="")
    yield base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=")


def _indented(content: bytes) -> str:
    """JSON as a person reads it; anything else as it is."""
    text = content.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {HIDDEN if name.lower() in LOGS_IN else value}" for name, value in headers.items()]


def _plain(text: str) -> str:
    # Indentation is kept: it is what makes JSON and mails readable.
    stripped = text.lstrip(" \t")
    return cut(" " * (len(text) - len(stripped)) + line(stripped, MAX_LINE), MAX_LINE)
