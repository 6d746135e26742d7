"""What the services that take JSON by HTTP have in common: their options, their secrets, the request."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

import alertd
from alertd.core.ledger.outcome import Outcome, Rejected, Retry
from alertd.notify.base import Env, Rendered, TlsOptions, exactly_one, revealed
from alertd.notify.http.client import TIMEOUT_S, Answer, Reply
from alertd.notify.http.redact import quote
from alertd.notify.http.tls import TlsUnusable, tls_of
from alertd.notify.http.url import check_url
from alertd.notify.webhook.payload import json_bytes
from alertd.system.secrets import SecretUnreadable


def _base(url: str) -> str:
    check_url(url)
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base)]
"""Where a service is, without the path of what is asked of it. No secret."""


def checked(check: Callable[[str], None]) -> AfterValidator:
    """For a secret that is given inline; one from a file is checked by :func:`secret_of`."""

    def validated(value: SecretStr) -> SecretStr:
        check(value.get_secret_value())
        return value

    return AfterValidator(validated)


def check_token(token: str) -> None:
    """Raise ValueError, whose text does not quote it, for what cannot be sent as a token."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("is not a token")


SecretUrl = Annotated[SecretStr, checked(check_url)]
Token = Annotated[SecretStr, checked(check_token)]


class PostOptions(TlsOptions):
    """The base of the options of whatever is posted to."""

    timeout: float = Field(default=TIMEOUT_S, gt=0, le=60)
    """Seconds, for connecting, sending and reading the answer together."""


class UrlOptions(PostOptions):
    """The base of the options of a service's incoming webhook: whoever knows its URL can post."""

    url: SecretUrl | None = None
    """The webhook's URL."""
    url_file: str = ""

    @model_validator(mode="after")
    def _has_a_url(self) -> Self:
        exactly_one(self, "url")
        return self


def secret_of(options: BaseModel, name: str, env: Env, check: Callable[[str], None]) -> str:
    """The secret option ``name``, or what its file holds now.

    Raises:
        SecretUnreadable: also when the file holds what ``check`` refuses.
    """
    file = getattr(options, f"{name}_file")
    value = revealed(getattr(options, name), file, env).strip()
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
    """Send one request.

    Args:
        token: sent as a bearer's, and hidden.
        hidden: what else an answer must not be quoted with.
    """
    try:
        tls = tls_of(options, env.path)
    except TlsUnusable as error:
        return Retry(reason=str(error))
    return await env.http.post(
        url,
        json_bytes(payload),
        {
            "content-type": "application/json; charset=utf-8",
            "accept-encoding": "identity",
            "user-agent": f"alertd/{alertd.__version__}",
            **({"authorization": f"Bearer {token}"} if token else {}),
            **(headers or {}),
        },
        method=method,
        timeout_s=options.timeout,
        tls=tls,
        hidden=(*hidden, token) if token else hidden,
    )


def rendered_json(payload: Mapping[str, Any]) -> Rendered:
    """What :func:`post_json` would post."""
    return Rendered(media_type="application/json", text=json_bytes(payload).decode())


def object_in(answer: Answer) -> Mapping[str, Any]:
    """The JSON object that an answer holds; an empty one when it holds none."""
    try:
        said = json.loads(answer.body) if isinstance(answer, Reply) else None
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def text_in(said: Mapping[str, Any], name: str) -> str:
    """A text or a whole number of an answer, as text; "" when it is neither."""
    value = said.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def asked_to_wait(outcome: Outcome, seconds: object) -> Outcome:
    """The outcome with a wait that stands in the answer's body, when its headers ask for none."""
    if not isinstance(outcome, Retry) or outcome.after is not None:
        return outcome
    if not isinstance(seconds, int | float) or not 0 < seconds < 10**9:
        return outcome
    return replace(outcome, after=timedelta(seconds=math.ceil(seconds)))


def unlike(answer: Answer, service: str) -> Outcome:
    """What a 2xx means that is none of the service's: likely somebody's log-in page.

    To call it delivered would lose a reminder; to send it again would not help.
    """
    if not isinstance(answer, Reply):
        return answer
    where = answer.origin
    if not answer.whole:
        return Retry(reason=f"{where} answered {answer.status} and broke off", unknown=True)
    said = quote(answer.body, answer.hidden)
    return Rejected(
        reason=f"{where} answered {answer.status}, but not as {service} does: {said}".rstrip(": ")
    )
