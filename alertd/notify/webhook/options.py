"""Defines the options of a webhook in ``alertd.yaml``, and refuses values that cannot work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from alertd.notify.base import require_at_most_one, require_exactly_one
from alertd.notify.http.url import check_proxy
from alertd.notify.json_api import BasicOptions, UrlOptions, validate_secret
from alertd.notify.webhook.body import WebhookFormat
from alertd.notify.webhook.signature import decode_key
from alertd.notify.webhook.template_trial import try_out
from alertd.notify.webhook.template_values import (
    DEFAULT_TYPE,
    MAX_SOURCE,
    TemplateFailed,
    TemplateRefused,
    choose_writer,
)
from alertd.system.regular_file import read_regular_file

MAX_SECRETS = 10
MAX_HEADERS = 20

# Headers that the transport sets, that apply to one connection (RFC 9110, section 7.6.1), that belong to the
# signature, or that describe the body.
_DENIED = re.compile(
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-(length|encoding|type)"
    r"|proxy-.*|webhook-.*|idempotency-key|accept-encoding|ce-.*"
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")

# RFC 3986 allows no other characters in a URI reference.
_REFERENCE = r"^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$"


class WebhookOptions(UrlOptions):
    """Options of ``type: webhook``."""

    secret: SecretStr | list[SecretStr] | None = None
    """The signing secret:

    ``whsec_`` and base64, or any text. During a rotation, a list with the new one first.
    """
    secret_file: str | list[str] = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict, max_length=MAX_HEADERS)
    """Additional headers, such as ``X-Api-Key``."""
    headers_file: dict[str, str] = Field(default_factory=dict, max_length=MAX_HEADERS)
    """Additional headers, each with its value in a file."""
    basic: BasicOptions | None = None
    """A user name and a password for the header ``Authorization``."""
    bearer: SecretStr | None = None
    """A token for the header ``Authorization``."""
    bearer_file: str = ""
    proxy: Annotated[SecretStr, validate_secret(check_proxy)] | None = None
    """The URL of an HTTP proxy, perhaps with a user and a password."""
    proxy_file: str = ""
    format: WebhookFormat = WebhookFormat.ALERTD
    """The format of the body."""
    source: Annotated[str, Field(pattern=_REFERENCE, max_length=500)] = ""
    """The ``source`` of CloudEvents, a URI reference."""
    content_type: str = ""
    """The content type of the body that the template makes."""
    template: str = ""
    """A template for the body."""
    template_file: str = ""
    """A file with a template for the body."""

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            check_header(name, content.get_secret_value())
        return value

    @field_validator("headers_file")
    @classmethod
    def _are_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            check_header(name)
        return value

    @field_validator("bearer")
    @classmethod
    def _is_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_header("Authorization", value.get_secret_value())
        return value

    @field_validator("content_type")
    @classmethod
    def _is_content_type(cls, value: str) -> str:
        if value:
            choose_writer(value)
        return value

    @field_validator("template")
    @classmethod
    def _is_template(cls, value: str, info: ValidationInfo) -> str:
        if value and "content_type" in info.data:
            check_template(value, info.data["content_type"] or DEFAULT_TYPE)
        return value

    @field_validator("template_file")
    @classmethod
    def _is_template_file(cls, value: str, info: ValidationInfo) -> str:
        # Only when a configuration is loaded from a folder is there a function to find files.
        find: Callable[[str], Path] | None = (info.context or {}).get("find")
        if value and find is not None and "content_type" in info.data:
            check_template(read_template(find(value)), info.data["content_type"] or DEFAULT_TYPE, value)
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        require_at_most_one(self, "secret")
        require_at_most_one(self, "bearer")
        require_at_most_one(self, "proxy")
        if len(self.secrets) + len(self.secret_files) > MAX_SECRETS:
            raise ValueError(f"at most {MAX_SECRETS} secrets")
        for secret in self.secrets:
            decode_key(secret.get_secret_value())
        self._check_headers()
        self._check_format()
        return self

    def _check_headers(self) -> None:
        inline, filed = (_lower(names) for names in (self.headers, self.headers_file))
        if twice := sorted(inline & filed):
            raise ValueError(f"the header {twice[0]} is in headers and in headers_file")
        said = {
            "basic": self.basic is not None,
            "bearer": bool(self.bearer or self.bearer_file),
            "headers": "authorization" in inline,
            "headers_file": "authorization" in filed,
        }
        by = [name for name, is_said in said.items() if is_said]
        if len(by) > 1:
            raise ValueError(f"Authorization is said twice: by {by[0]} and by {by[1]}")

    def _check_format(self) -> None:
        if self.format is WebhookFormat.TEMPLATE:
            require_exactly_one(self, "template")
        for name in ("template", "template_file", "content_type"):
            if getattr(self, name) and self.format is not WebhookFormat.TEMPLATE:
                raise ValueError(f"{name} is nothing without format: template")
        if self.source and not self.format.startswith(WebhookFormat.CLOUDEVENTS):
            raise ValueError(f"source is nothing without format: {WebhookFormat.CLOUDEVENTS}")

    @property
    def secrets(self) -> list[SecretStr]:
        if self.secret is None:
            return []
        return self.secret if isinstance(self.secret, list) else [self.secret]

    @property
    def secret_files(self) -> list[str]:
        names = self.secret_file if isinstance(self.secret_file, list) else [self.secret_file]
        return [name for name in names if name]


def check_header(name: str, value: str = "") -> None:
    """Raise ValueError for a header that cannot be sent or that only alertd sets.

    The error's text does not quote the value.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header's name")
    if _DENIED.fullmatch(name.lower()):
        raise ValueError(f"the header {name} is set by alertd alone")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the header {name} holds what is not printable ASCII")


def check_template(source: str, content_type: str, file: str = "") -> None:
    """Raise PydanticCustomError if the template cannot be used; its context has the ``line`` if known."""
    from alertd.notify.webhook.template import compile_template

    try:
        try_out(compile_template(source, content_type))
    except (TemplateRefused, TemplateFailed) as error:
        if not file:
            raise _refused(error.why, line=error.line) from error
        where = f"{file}:{error.line}" if error.line else file
        raise _refused(f"{where}: {error.why}") from error


def read_template(path: Path) -> str:
    """Return the file's contents, cut at one character above the limit, which is enough to refuse them.

    Raises:
        ValueError: the file cannot be read, or is not UTF-8.
    """
    try:
        # A character has at most four bytes. One that is cut off at the end is beyond the limit.
        raw = read_regular_file(path, 4 * (MAX_SOURCE + 1))
        is_whole = len(raw) < 4 * (MAX_SOURCE + 1)
        text = raw.decode("utf-8", "strict" if is_whole else "ignore")
        return text.replace("\r\n", "\n").replace("\r", "\n")[: MAX_SOURCE + 1]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not UTF-8 text") from error
    except OSError as error:
        raise ValueError(f"{path.name}: {(error.strerror or 'cannot be read').lower()}") from error


def _refused(message: str, **context: Any) -> PydanticCustomError:
    # A parameter, because pydantic would interpret the braces in a template's text as placeholders.
    return PydanticCustomError("template", "{message}", {"message": message, **context})


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}
