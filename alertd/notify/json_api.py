"""Sends JSON and forms by HTTP: the options, secrets and answers that such notifiers share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from alertd.core.ledger.outcome import Outcome, Rejected, Retry
from alertd.notify.base import (
    Env,
    NotifierOptions,
    Rendered,
    TlsOptions,
    encode_json,
    require_exactly_one,
    reveal,
)
from alertd.notify.http.client import STANDARD_HEADERS, TIMEOUT_S
from alertd.notify.http.redact import quote
from alertd.notify.http.reply import Answer, Reply
from alertd.notify.http.tls import TlsUnusable
from alertd.notify.http.url import check_url
from alertd.system.secrets import SecretUnreadable

FORM = "application/x-www-form-urlencoded"


def _check_base(url: str) -> str:
    check_url(url)
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_check_base)]
"""A service's URL without the path of a method. It is not secret."""


def validate_secret(check: Callable[[str], None]) -> AfterValidator:
    """Return the validator of an inline secret. :func:`read_secret` checks a secret from a file."""

    def validated(value: SecretStr) -> SecretStr:
        check(value.get_secret_value())
        return value

    return AfterValidator(validated)


def check_token(token: str) -> None:
    """Raise ValueError for text that cannot be sent as a token. The error's text does not quote the token."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("is not a token")


SecretUrl = Annotated[SecretStr, validate_secret(check_url)]
Token = Annotated[SecretStr, validate_secret(check_token)]


class PostOptions(TlsOptions):
    """The base class of options for services that alertd posts to."""

    timeout: float = Field(default=TIMEOUT_S, gt=0, le=60)
    """Time limit in seconds for connecting, sending and reading the answer together."""


class BasicOptions(NotifierOptions):
    """A user and a password (RFC 7617)."""

    username: str = Field(min_length=1, max_length=255)
    password: SecretStr | None = None
    password_file: str = ""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        require_exactly_one(self, "password")
        if ":" in self.username:
            raise ValueError("a username holds no colon")
        return self


class UrlOptions(PostOptions):
    """The base class of options for incoming webhooks. Everyone who knows such a webhook's URL can post."""

    url: SecretUrl | None = None
    """The webhook's URL."""
    url_file: str = ""

    @model_validator(mode="after")
    def _has_a_url(self) -> Self:
        require_exactly_one(self, "url")
        return self


class TokenOptions(PostOptions):
    """The base class of options for services that authenticate alertd by a token."""

    token: Token | None = None
    """The token."""
    token_file: str = ""

    @model_validator(mode="after")
    def _has_a_token(self) -> Self:
        require_exactly_one(self, "token")
        return self


def read_secret(options: BaseModel, name: str, env: Env, check: Callable[[str], None]) -> str:
    """Return the secret option ``name``, or the current contents of its file.

    Args:
        check: raises ValueError for an unusable secret.

    Raises:
        SecretUnreadable: the file cannot be read, or ``check`` refuses its contents.
    """
    file = getattr(options, f"{name}_file")
    value = reveal(getattr(options, name), file, env).strip()
    try:
        check(value)
    except ValueError as error:
        raise SecretUnreadable(f"what secret file {file!r} holds {error}") from None
    return value


async def post_json(
    env: Env,
    options: PostOptions,
    url: str,
    payload: Mapping[str, Any],
    *,
    method: str = "POST",
    token: str = "",
    headers: Mapping[str, str] | None = None,
    hidden: tuple[str, ...] = (),
) -> Answer:
    """Send one request whose body is JSON.

    Args:
        token: sent as a bearer token, and redacted in the answer.
        hidden: further secrets that must be redacted when the answer is quoted.
    """
    login = {"authorization": f"Bearer {token}"} if token else {}
    return await _post(
        env,
        options,
        url,
        encode_json(payload),
        {"content-type": "application/json; charset=utf-8", **STANDARD_HEADERS, **login, **(headers or {})},
        method=method,
        hidden=(*hidden, token) if token else hidden,
    )


async def post_form(
    env: Env,
    options: PostOptions,
    url: str,
    fields: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
    hidden: tuple[str, ...] = (),
) -> Answer:
    """Send one request whose body is a form, in UTF-8.

    Args:
        hidden: further secrets that must be redacted when the answer is quoted.
    """
    content = urlencode(fields).encode("ascii")
    sent = {"content-type": FORM, **STANDARD_HEADERS, **(headers or {})}
    return await _post(env, options, url, content, sent, method="POST", hidden=hidden)


async def _post(
    env: Env,
    options: PostOptions,
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    *,
    method: str,
    hidden: tuple[str, ...],
) -> Answer:
    try:
        tls = env.find_tls(options)
    except TlsUnusable as error:
        return Retry(reason=str(error))
    return await env.http.post(
        url, content, headers, method=method, timeout_s=options.timeout, tls=tls, hidden=hidden
    )


def render_json(payload: Mapping[str, Any]) -> Rendered:
    """Return the body that :func:`post_json` would send."""
    return Rendered(media_type="application/json", text=encode_json(payload).decode())


def render_form(fields: Mapping[str, str]) -> Rendered:
    """Return the body that :func:`post_form` would send."""
    return Rendered(media_type=FORM, text=urlencode(fields))


def parse_object(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object in an answer, or an empty one if the answer contains none."""
    try:
        body = json.loads(answer.body) if isinstance(answer, Reply) else None
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def get_text(body: Mapping[str, Any], name: str) -> str:
    """Return a text or a whole number of an answer as text; "" if the value is neither."""
    value = body.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def apply_wait(outcome: Outcome, seconds: object) -> Outcome:
    """Return the outcome with the wait from the answer's body, unless the answer's headers ask for a wait."""
    if not isinstance(outcome, Retry) or outcome.after is not None:
        return outcome
    if not isinstance(seconds, int | float) or not 0 < seconds < 10**9:
        return outcome
    return replace(outcome, after=timedelta(seconds=math.ceil(seconds)))


def reject_foreign_answer(answer: Answer, service: str) -> Outcome:
    """Return the outcome of a 2xx answer that does not come from the service: probably a log-in page.

    Counting the message as sent would lose a reminder, and a retry would not help. Therefore the message is
    rejected. If the answer broke off, alertd retries.
    """
    if not isinstance(answer, Reply):
        return answer
    where = answer.origin
    if not answer.whole:
        return Retry(reason=f"{where} answered {answer.status} and broke off", unknown=True)
    excerpt = quote(answer.body, answer.hidden)
    return Rejected(
        reason=f"{where} answered {answer.status}, but not as {service} does: {excerpt}".rstrip(": ")
    )
