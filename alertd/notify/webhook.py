"""Posts a message as JSON, signed by Standard Webhooks, to a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, SecretStr, field_validator, model_validator

import alertd
from alertd.core.message import Message
from alertd.core.outcome import Outcome, Retry
from alertd.notify.clean import fit
from alertd.notify.http import TIMEOUT_S
from alertd.notify.kit import Env, TlsOptions, at_most_one, exactly_one, revealed
from alertd.notify.payload import body_of
from alertd.notify.reply import outcome_of
from alertd.notify.secret import SecretUnreadable
from alertd.notify.signature import key_of, sign
from alertd.notify.tls import TlsUnusable, tls_of
from alertd.notify.url import check_url

MAX_SECRETS = 10

# Those that the transport sets, that concern one hop (RFC 9110, section 7.6.1), or that say who signed.
_DENIED = re.compile(
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-(length|encoding|type)"
    r"|proxy-.*|webhook-.*|idempotency-key|accept-encoding"
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


class WebhookOptions(TlsOptions):
    """Options of ``type: webhook``."""

    url: SecretStr | None = None
    """Where to post to, http or https."""
    url_file: str = ""
    secret: SecretStr | list[SecretStr] | None = None
    """What to sign with: ``whsec_`` and base64, or any text. A list during a change, the new one first."""
    secret_file: str | list[str] = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict, max_length=20)
    """Sent along, such as ``Authorization``."""
    timeout: float = Field(default=TIMEOUT_S, gt=0, le=60)
    """Seconds, for connecting, sending and reading the answer together."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_url(value.get_secret_value())
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a header's name")
            if _DENIED.fullmatch(name.lower()):
                raise ValueError(f"the header {name} is set by alertd alone")
            if not _VALUE.fullmatch(content.get_secret_value()):
                raise ValueError(f"the header {name} holds what is not printable ASCII")
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> WebhookOptions:
        exactly_one(self, "url")
        at_most_one(self, "secret")
        if len(self.secrets) + len(self.secret_files) > MAX_SECRETS:
            raise ValueError(f"at most {MAX_SECRETS} secrets")
        for secret in self.secrets:
            key_of(secret.get_secret_value())
        return self

    @property
    def secrets(self) -> list[SecretStr]:
        if self.secret is None:
            return []
        return self.secret if isinstance(self.secret, list) else [self.secret]

    @property
    def secret_files(self) -> list[str]:
        names = self.secret_file if isinstance(self.secret_file, list) else [self.secret_file]
        return [name for name in names if name]


class WebhookNotifier:
    """One URL. A repeat can be told by the header ``webhook-id``, which is also the ``Idempotency-Key``."""

    Options = WebhookOptions

    def __init__(self, options: WebhookOptions, env: Env) -> None:
        self._options = options
        self._env = env

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:  # noqa: ARG002
        options, env = self._options, self._env
        try:
            url = revealed(options.url, options.url_file, env).strip()
            secrets = [secret.get_secret_value() for secret in options.secrets]
            secrets += [env.secret(name) for name in options.secret_files]
            tls = tls_of(options, env.path)
        except (SecretUnreadable, TlsUnusable) as error:
            return Retry(reason=str(error))
        try:
            check_url(url)
            keys = [key_of(secret) for secret in secrets]
        except ValueError as error:
            return Retry(reason=f"what the webhook's secret file holds {error}")
        given = {name: value.get_secret_value() for name, value in options.headers.items()}
        body = body_of(fit(message))
        answer = await env.http.post(
            url,
            body,
            {**_standard(message, given), **given, **_identity(message, keys, env, body)},
            timeout_s=options.timeout,
            tls=tls,
            hidden=(*secrets, *_words(given)),
        )
        return outcome_of(answer, env.clock.now())

    async def aclose(self) -> None:
        """The client belongs to the process."""


def _standard(message: Message, given: Mapping[str, str]) -> dict[str, str]:
    taken = {name.lower() for name in given}
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"alertd/{alertd.__version__}",
        "alertd-attempt": str(message.attempt),
    }
    return {name: value for name, value in headers.items() if name not in taken}


def _identity(message: Message, keys: list[bytes], env: Env, body: bytes) -> dict[str, str]:
    # Signed at each attempt: a receiver refuses a timestamp that is minutes old.
    headers = sign(keys, message.id, env.clock.now(), body)
    if not keys:
        del headers["webhook-signature"]
    return {**headers, "idempotency-key": message.id}


def _words(headers: Mapping[str, str]) -> list[str]:
    """The values of the given headers, and their words: ``Bearer abc`` is hidden, and so is ``abc``."""
    return [part for value in headers.values() for part in (value, *value.split())]
