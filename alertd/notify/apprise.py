"""Sends by way of Apprise, to services that alertd does not know itself.

Rules that hold here:
- the package is imported when a receiver uses it, and not before;
- what it says of a failure is yes or no, so a failure is always tried again;
- it speaks for itself: alertd's rules on addresses, proxies and certificates do not reach it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from pydantic import Field, SecretStr, model_validator

from alertd.core.ledger.outcome import Outcome, Retry, Sent
from alertd.core.message.message import Message, Tone
from alertd.notify.base import Env, NotifierOptions, Rendered, exactly_one
from alertd.notify.http.redact import quote, secrets_in
from alertd.notify.json_api import secret_of
from alertd.notify.render.clean import cut, fit
from alertd.notify.render.markup import plain, plain_text, units
from alertd.notify.render.outline import frame_of, outlined
from alertd.system.secrets import SecretUnreadable

if TYPE_CHECKING:
    from apprise import NotifyBase

MAX_BODY = 10_000
BRIEF = 600
"""A service that takes no longer text than this gets the subject and the id."""

WORKERS = 4

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
    """The service's URL, as Apprise writes it; whoever knows it can post."""
    url_file: str = ""
    timeout: float = Field(default=30.0, gt=0, le=60)
    """Seconds; Apprise has its own for each step, ``cto`` and ``rto`` in the URL."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        exactly_one(self, "url")
        if missing := AppriseNotifier.missing():
            raise ValueError(missing)
        if self.url is not None:
            check_service(self.url.get_secret_value())
        return self


def check_service(url: str) -> None:
    """Raise ValueError, whose text does not quote it, for what Apprise cannot read."""
    if service_of(url) is None:
        raise ValueError("is not a URL that Apprise knows")


def service_of(url: str) -> NotifyBase | None:
    """The service behind a URL; no I/O."""
    from apprise import Apprise, AppriseAsset

    # They would log the URL, or a part of it. What is said of a failure is heard by `_Listener`.
    for name in ("apprise", "urllib3"):
        log = logging.getLogger(name)
        log.propagate = False
        log.setLevel(logging.WARNING)
    asset = AppriseAsset(secure_logging=True)
    # A POST that follows one may arrive as a GET.
    asset.http_redirects = False
    made = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    return made if made and not isinstance(made, dict) else None


class AppriseNotifier:
    """One service. A repeat can be told by the id in the last line."""

    Options = AppriseOptions

    @staticmethod
    def missing() -> str:
        """What has to be installed before it can be used; "" for nothing."""
        if importlib.util.find_spec("apprise") is None:
            return "the package apprise is not installed; install alertd[apprise]"
        return ""

    def __init__(self, options: AppriseOptions, env: Env) -> None:
        self._options = options
        self._env = env
        self._workers: ThreadPoolExecutor | None = None

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        try:
            url = secret_of(self._options, "url", self._env, check_service)
        except SecretUnreadable as error:
            return Retry(reason=str(error))
        if self._workers is None:
            self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="apprise")
        sending = asyncio.get_running_loop().run_in_executor(self._workers, _send, url, fit(message))
        try:
            async with asyncio.timeout(self._options.timeout):
                return await sending
        except TimeoutError:
            why = f"Apprise did not end within {self._options.timeout:g} s"
            return Retry(reason=why, unknown=True)

    def render(self, message: Message) -> tuple[Rendered, ...]:
        try:
            service = service_of(secret_of(self._options, "url", self._env, check_service))
        except SecretUnreadable:
            service = None
        title, body = apprise_text(fit(message), service.body_maxlen if service else MAX_BODY)
        return (Rendered(media_type="text/plain", text=f"{title}\n\n{body}".lstrip("\n")),)

    async def aclose(self) -> None:
        if self._workers is not None:
            self._workers.shutdown(wait=False, cancel_futures=True)


class _Listener(logging.Handler):
    """Keeps the last warning that comes from the thread that made it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said = record.getMessage()


def _send(url: str, message: Message) -> Outcome:
    service = service_of(url)
    if service is None:
        return Retry(reason="Apprise does not know the URL any more")
    log, listener = logging.getLogger("apprise"), _Listener()
    log.addHandler(listener)
    try:
        tone = message.items[0].tone if message.items else Tone.CALM
        title, body = apprise_text(message, service.body_maxlen)
        sent = service.notify(body=body, title=title, notify_type=_TYPES[tone])
    except Exception as error:  # a plugin may raise anything
        return Retry(reason=f"Apprise failed: {type(error).__name__}", unknown=True)
    finally:
        log.removeHandler(listener)
    if sent:
        return Sent(note="Apprise says it was sent")
    said = quote(listener.said, secrets_in(url))
    return Retry(reason="Apprise says it was not sent" + (f": {said}" if said else ""))


def apprise_text(message: Message, most: int) -> tuple[str, str]:
    """Title and body in at most ``most`` characters together, for a message that has been made fit."""
    if most < BRIEF:
        return "", f"{cut(message.subject, most - len(message.id) - 1)} {message.id}"
    frame = frame_of(message)
    room = min(most, MAX_BODY) - units(f"{frame.title}\n\n{plain_text(frame)}")
    outline = outlined(message, room, lambda line: units(plain(line)) + 2)
    return outline.title, plain_text(outline)
