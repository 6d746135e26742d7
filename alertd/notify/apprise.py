"""Sends messages through the Apprise library, to services for which alertd has no notifier of its own.

Rules that hold here:
- the package `apprise` is imported only when a receiver uses it;
- Apprise reports a failure only as False, so alertd retries every failure;
- Apprise opens its own connections: alertd's rules on addresses, proxies and certificates do not apply to
  them;
- the text is plain text. Apprise's converter escapes it for services that take HTML or Markdown, except the
  URLs in Markdown, which backslashes would break.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field, SecretStr, model_validator

from alertd.notify import (
    Env,
    Message,
    NotifierOptions,
    Outcome,
    OwnThreads,
    Rendered,
    Retry,
    SecretUnreadable,
    Sent,
    Tone,
    build_frame,
    build_outline,
    clean_message,
    count_units,
    cut_text,
    find_secrets,
    quote,
    read_secret,
    render_plain_line,
    render_plain_text,
    require_exactly_one,
    suppress_mentions,
)

if TYPE_CHECKING:
    from apprise import NotifyBase, NotifyFormat

MAX_BODY = 10_000
BRIEF = 600
"""A service that accepts fewer characters than this gets only the subject and the id."""

WORKERS = 4

# Where a word joiner is inserted, besides what `suppress_mentions` does. In `<@U1>`, `<@&1>`, `<!here>` and
# `<#C1>`, some services read a mention or a link to a channel. `@everyone` may count within a word, so mail
# addresses with such a domain get the invisible character too.
_POINTER = re.compile(r"(?<=<)(?=[@!#])|(?<=@)(?=everyone|here)")
# Parentheses belong to a URL only in pairs. Punctuation at the end belongs to the sentence.
_URL = re.compile(r"""(https?://(?:[^][\s<>()|*`\\^{}"]|\([^][\s<>()|*`\\^{}"]*\))+(?<![.,;:!?']))""")

_TYPES = {
    Tone.CALM: "info",
    Tone.SOON: "warning",
    Tone.LATE: "failure",
    Tone.MOVED: "warning",
    Tone.DONE: "success",
}


class AppriseOptions(NotifierOptions):
    """Options of ``type: apprise``."""

    url: SecretStr | None = None
    """The service's URL in Apprise's notation. Everyone who knows the URL can post."""
    url_file: str = ""
    timeout: float = Field(default=30.0, gt=0, le=60)
    """Time limit in seconds. Apprise has its own limits for each step: ``cto`` and ``rto`` in the URL."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        require_exactly_one(self, "url")
        if missing := AppriseNotifier.missing():
            raise ValueError(missing)
        if self.url is not None:
            check_service(self.url.get_secret_value())
        return self


def check_service(url: str) -> None:
    """Raise ValueError when Apprise cannot read the URL. The error's text does not quote the URL."""
    if find_service(url) is None:
        raise ValueError("is not a URL that Apprise knows")


def find_service(url: str) -> NotifyBase | None:
    """Return Apprise's object for a URL, or None when Apprise cannot read the URL. Does no I/O."""
    from apprise import Apprise, AppriseAsset

    # Both libraries would log parts of the URL. `_Listener` collects the reason of a failure instead.
    for name in ("apprise", "urllib3"):
        log = logging.getLogger(name)
        log.propagate = False
        log.setLevel(logging.WARNING)
    asset = AppriseAsset(secure_logging=True)
    # After a redirect, the HTTP library may send a GET instead of the POST.
    asset.http_redirects = False
    made = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    return made if made and not isinstance(made, dict) else None


class AppriseNotifier:
    """Sends to one service through Apprise. The id in the last line identifies a duplicate."""

    Options = AppriseOptions

    @staticmethod
    def missing() -> str:
        """Return what has to be installed before this notifier can be used; "" when nothing is missing."""
        if importlib.util.find_spec("apprise") is None:
            return "the package apprise is not installed; install alertd[apprise]"
        return ""

    def __init__(self, options: AppriseOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._threads = OwnThreads("apprise", limit=WORKERS)

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        try:
            url = read_secret(self._options, "url", self._env, check_service)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        try:
            return await self._threads.run(lambda: _send(url, clean_message(message)), self._options.timeout)
        except TimeoutError:
            why = f"Apprise did not end within {self._options.timeout:g} s"
            return Retry(reason=why, unknown=True)

    def render(self, message: Message) -> tuple[Rendered, ...]:
        try:
            service = find_service(read_secret(self._options, "url", self._env, check_service))
        except SecretUnreadable:
            service = None
        cleaned = clean_message(message)
        if service is None:
            title, body = build_apprise_text(cleaned, MAX_BODY)
        else:
            title, body, _ = _build(service, cleaned)
        return (Rendered(media_type="text/plain", text=f"{title}\n\n{body}".lstrip("\n")),)

    async def aclose(self) -> None:
        """Do nothing: each call ends by itself."""


class _Listener(logging.Handler):
    """Keeps the last warning that was logged by the thread that created the listener."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said = record.getMessage()


def _send(url: str, message: Message) -> Outcome:
    from apprise import NotifyFormat

    service = find_service(url)
    if service is None:
        return Retry(reason="Apprise does not know the URL any more")
    log, listener = logging.getLogger("apprise"), _Listener()
    log.addHandler(listener)
    try:
        tone = message.items[0].tone if message.items else Tone.CALM
        title, body, text_format = _build(service, message)
        if text_format is NotifyFormat.HTML:
            # Plugins such as Telegram's do not convert text themselves when they are called directly.
            body = _convert(body, text_format)
            title = title if service.title_maxlen > 0 else _convert(title, text_format)
        sent = service.notify(body=body, title=title, notify_type=_TYPES[tone], body_format=text_format)
    except Exception as error:  # a plugin may raise anything
        return Retry(reason=f"Apprise failed: {type(error).__name__}", unknown=True)
    finally:
        log.removeHandler(listener)
    if sent:
        return Sent(note="Apprise says it was sent")
    excerpt = quote(listener.said, find_secrets(url))
    return Retry(reason="Apprise says it was not sent" + (f": {excerpt}" if excerpt else ""))


def _build(service: NotifyBase, message: Message) -> tuple[str, str, NotifyFormat]:
    """Return the title, the body and the format that the service takes. Text for HTML is not escaped yet."""
    from apprise import NotifyFormat

    text_format = service.resolve_format(NotifyFormat.TEXT)
    title, body = build_apprise_text(message, service.body_maxlen)
    if text_format is NotifyFormat.MARKDOWN:
        heading, body = build_apprise_text(message, service.body_maxlen, _escape_markdown)
        # Apprise puts the title into the body of services without a field for it. Such a field is plain text.
        title = title if service.title_maxlen > 0 else heading
    return title, body, text_format


def _convert(text: str, text_format: NotifyFormat) -> str:
    """Return plain text in another format, in which it has no markup."""
    from apprise import NotifyFormat
    from apprise.conversion import convert_between

    return str(convert_between(NotifyFormat.TEXT, text_format, text))  # type: ignore[no-untyped-call]


def _suppress(text: str) -> str:
    """Return plain text without mentions. In a URL, the ``@`` of a mention becomes ``%40``."""
    parts = _URL.split(_POINTER.sub("\u2060", text))
    return "".join(
        suppress_mentions(part).replace("@\u2060", "%40") if at % 2 else suppress_mentions(part)
        for at, part in enumerate(parts)
    )


def _escape_markdown(text: str) -> str:
    """Return plain text as Markdown that has no markup, no mentions, and only the links that the text has."""
    from apprise import NotifyFormat

    return "".join(
        f"<{part}>" if at % 2 else _convert(part, NotifyFormat.MARKDOWN)
        for at, part in enumerate(_URL.split(_suppress(text)))
    )


def build_apprise_text(
    message: Message, limit: int, escape: Callable[[str], str] = _suppress
) -> tuple[str, str]:
    """Return the title and the body of a message, together at most ``limit`` characters long.

    Args:
        message: a message that ``clean_message`` has cleaned.
        limit: the service's limit, in characters.
        escape: makes mentions and, for Markdown, markup ineffective. The limit applies to its result.
    """
    if limit < BRIEF:
        size = room = limit - len(escape(message.id)) - 1
        while size > 1 and len(escape(cut_text(message.subject, size))) > room:
            size -= 1
        return "", f"{escape(cut_text(message.subject, size))} {escape(message.id)}"
    frame = build_frame(message)
    whole = escape(f"{frame.title}\n\n{render_plain_text(frame)}")
    room = min(limit, MAX_BODY) - count_units(whole)
    outline = build_outline(message, room, lambda line: count_units(escape(render_plain_line(line))) + 2)
    return escape(outline.title), escape(render_plain_text(outline))
