"""Records the dialogue with a receiver, without secrets, so that ``alertd send-test`` can show it.

Rules that hold here:
- every text is redacted before it is stored;
- of a URL only the scheme and host are stored, of a header with credentials only the name;
- long texts are cut: each turn of each side has at most :data:`MAX_LINES` lines of :data:`MAX_LINE`
  characters.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit
from urllib.parse import quote as percent_encoded

from alertd.core.ledger.outcome import Rejected, Retry
from alertd.notify.http.redact import HIDDEN, MIN_SECRET, find_origin, shorten_urls
from alertd.notify.http.reply import Answer
from alertd.notify.render.clean import clean_line, cut_text

MAX_LINES = 60
MAX_LINE = 500
MAX_ANSWER_LINES = 10

LOGS_IN = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
"""Headers of which only the name is shown, because the value contains credentials."""


class Speaker(StrEnum):
    """Who sent a line, written as the mark before the line. ABOUT marks a remark by alertd."""

    US = ">"
    THEM = "<"
    ABOUT = "*"


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """One redacted line."""

    by: Speaker
    text: str

    def __str__(self) -> str:
        return f"{self.by} {self.text}".rstrip()


@dataclass(slots=True)
class Transcript:
    """The recorded lines in their order, and the secrets that must not occur in them.

    Each sender passes the secrets that it knows with each call. ``hide`` adds secrets for all calls.
    """

    _lines: list[TranscriptLine] = field(default_factory=list)
    _secrets: set[str] = field(default_factory=set, repr=False)

    def hide(self, secret: str) -> None:
        self._secrets.add(secret.strip())

    def take(self) -> tuple[TranscriptLine, ...]:
        """Return the lines recorded since the previous call."""
        taken = tuple(self._lines)
        self._lines.clear()
        return taken

    def conceal(self, text: str) -> str:
        return conceal(text, self._secrets)

    def add(self, by: Speaker, text: str, hidden: Iterable[str] = (), limit: int = MAX_LINES) -> None:
        """Record the lines of a text; a last line counts those beyond ``limit``."""
        # Redact before cutting: half a secret is a secret too.
        whole = conceal(text, {*self._secrets, *hidden}).splitlines() or [""]
        shown, rest = whole[:limit], len(whole) - limit
        self._lines += [TranscriptLine(by, _plain(text_line)) for text_line in shown]
        if rest > 0:
            self._lines.append(TranscriptLine(by, f"… and {rest} more line{'s' if rest > 1 else ''}"))

    def add_exchange(self, request: Request | None, answer: Answer, hidden: Iterable[str]) -> None:
        """Record one HTTP request and its answer, or the reason why there is no answer.

        Args:
            request: None when the connection failed before the request was written.
            hidden: secrets to redact in the answer: a server may echo what it received, even its own URL.
        """
        if request is not None:
            self._add_request(request)
        if isinstance(answer, Retry | Rejected):
            self.add(Speaker.ABOUT, answer.reason)
            return
        hidden = tuple(hidden)
        head = "\n".join([f"HTTP {answer.status}", *_headers(answer.headers)])
        self.add(Speaker.THEM, shorten_urls(head), hidden)
        self.add(Speaker.THEM, "")
        self.add(Speaker.THEM, shorten_urls(answer.body.decode("utf-8", "replace")), hidden, MAX_ANSWER_LINES)

    def _add_request(self, request: Request) -> None:
        path = "/…" if urlsplit(request.url).path.strip("/") else "/"
        head = {"host": find_origin(request.url).partition("://")[2], **request.headers}
        self.add(
            Speaker.US, "\n".join([f"{request.method} {path} HTTP/1.1", *_headers(head)]), request.hidden
        )
        self.add(Speaker.US, "")
        self.add(Speaker.US, _format_body(request), request.hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request before it is redacted.

    Attributes:
        hidden: secrets in the request, in addition to the headers in :data:`LOGS_IN`.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)


def conceal(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` without the secrets, in every encoding that a request or an answer may use."""
    forms = {form for secret in secrets if len(secret) >= MIN_SECRET for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret in plain text, in JSON with and without escapes, percent-encoded, and in base64."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield percent_encoded(secret, safe="")
    yield base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=")


def _format_body(request: Request) -> str:
    """Return JSON with indentation and a form as lines; return anything else unchanged."""
    text = request.content.decode("utf-8", "replace")
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return "\n".join(f"{name}: {value}" for name, value in parse_qsl(text, keep_blank_values=True))
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {HIDDEN if name.lower() in LOGS_IN else value}" for name, value in headers.items()]


def _plain(text: str) -> str:
    # Indentation is kept because JSON and mails are hard to read without it.
    stripped = text.lstrip(" \t")
    return cut_text(" " * (len(text) - len(stripped)) + clean_line(stripped, MAX_LINE), MAX_LINE)
