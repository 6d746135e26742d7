"""The contract of a notifier class: its options, its environment and what it renders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TextIO, runtime_checkable

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from alertd.core.config import Smtp
from alertd.core.message.message import Message
from alertd.notify.http.client import HttpClient
from alertd.notify.http.tls import SYSTEM, Tls, TlsFiles, find_tls
from alertd.notify.smtp.relay import Relay
from alertd.ports import Clock, Notifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """The environment of all notifiers of a process: everything outside that a notifier may use.

    Attributes:
        http: the only way to send HTTP. Its ``egress`` is the only way to open any other connection.
        clock: the only way to get the time.
        secret: reads the secret named by the value of a ``*_file`` option; called at each send. Raises
            :class:`alertd.system.secrets.SecretUnreadable`.
        template: returns the source of the template in the file that a ``template_file`` option names; None:
            the notifier reads the file. Raises :class:`alertd.system.secrets.SecretUnreadable`.
        path: resolves the value of a ``*_file`` option to the file's path.
        tls: returns the certificate files that options name, with their context; None: they are read at each
            send. See :meth:`find_tls`.
        out: the stream that the console notifier prints to.
        smtp: the settings of the mail relay.
        relay: the connection pool to the mail relay.
        host: the domain of Message-IDs. The domain should not change for years, as a container's name would.
    """

    http: HttpClient
    clock: Clock
    secret: Callable[[str], str] = field(repr=False)
    out: TextIO
    path: Callable[[str], Path] = Path
    tls: Callable[[TlsFiles], Tls] | None = None
    template: Callable[[str], str] | None = None
    smtp: Smtp = field(default_factory=Smtp)
    relay: Relay = field(default_factory=Relay)
    host: str = "localhost"

    def find_tls(self, options: TlsFiles) -> Tls:
        """Return the certificate files that options name. Raises :class:`TlsUnusable`."""
        if not (options.ca_file or options.client_cert_file or options.client_key_file):
            return SYSTEM
        return self.tls(options) if self.tls is not None else find_tls(options, self.path)


class NotifierClass(Protocol):
    """The contract of the class that an entry point in the group ``alertd.notifiers`` names.

    ``Options`` is a pydantic model that forbids unknown keys, holds inline secrets as ``SecretStr`` and
    accepts ``x_file`` for each secret ``x``. ``alertd notifiers`` shows the docstrings of the class and of
    its options. A class that needs a package beyond its distribution's dependencies has a static method
    ``missing``, which returns what to install, or "". Creating a notifier does no I/O and does not fail for
    valid options. :class:`alertd.ports.Notifier` defines ``send`` and ``aclose``.
    """

    @property
    def Options(self) -> type[BaseModel]: ...  # noqa: N802  a class, though a member

    def __call__(self, options: Any, env: Env) -> Notifier: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The body of one request that a notifier would send.

    Attributes:
        media_type: without parameters; ``message/rfc822`` for a mail.
        text: the exact body, except that ``[hidden]`` replaces each secret.
        note: a remark for the reader, such as that the template failed; "" for none.
    """

    media_type: str
    text: str
    note: str = ""


@runtime_checkable
class Renders(Protocol):
    """A notifier that can show what it would send. This is optional; all built-in notifiers do it."""

    def render(self, message: Message) -> Sequence[Rendered]:
        """Return the bodies in the order in which ``send`` would send them, as if no message had been sent
        before.

        Does no I/O except reading a template. Raises no error for a message that ``send`` accepts.
        """


class NotifierOptions(BaseModel):
    """The base class of every notifier's options."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # Error messages name the key and the rule. They hide the value, which may be a secret.
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @property
    def follows(self) -> bool:
        """Whether the receiver shows a milestone's current state, such as an incident that is open until
        resolved.

        If so, alertd also informs the receiver at once when somebody acknowledges or cancels a milestone: it
        sends a message about that milestone, with the cause ``acknowledged`` or ``cancelled``.
        """
        return False


class TlsOptions(NotifierOptions):
    """The base class of options for TLS, which :meth:`Env.find_tls` reads at each send."""

    ca_file: str = ""
    """A PEM file with the certificates to trust instead of the system's."""
    client_cert_file: str = ""
    """A PEM file with the client certificate, for a server that requires one."""
    client_key_file: str = ""
    """The unencrypted private key, unless ``client_cert_file`` contains it."""

    @model_validator(mode="after")
    def _has_a_certificate(self) -> Self:
        if self.client_key_file and not self.client_cert_file:
            raise ValueError("client_key_file is nothing without client_cert_file")
        return self


def iterate_texts(value: object, option: str = "") -> Iterator[tuple[str, str | SecretStr]]:
    """Yield every text in the options, at any depth, with the name of the innermost option around it."""
    if isinstance(value, str | SecretStr):
        yield option, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from iterate_texts(getattr(value, name), name)
    elif isinstance(value, Mapping):
        yield from iterate_texts(list(value.values()), option)
    elif isinstance(value, Iterable):
        for element in value:
            yield from iterate_texts(element, option)


def require_exactly_one(options: BaseModel, name: str) -> None:
    """Raise ValueError unless exactly one of ``name`` and ``<name>_file`` is set."""
    given = require_at_most_one(options, name)
    if not given:
        raise ValueError(f"{name} or {name}_file is required")


def require_at_most_one(options: BaseModel, name: str) -> bool:
    """Return whether ``name`` or ``<name>_file`` is set. Raises ValueError when both are."""
    inline, file = bool(getattr(options, name)), bool(getattr(options, f"{name}_file"))
    if inline and file:
        raise ValueError(f"{name} and {name}_file exclude each other")
    return inline or file


def reveal(inline: SecretStr | None, file: str, env: Env) -> str:
    """Return the secret from the inline value or from the file; "" when neither is set."""
    if inline is not None:
        return inline.get_secret_value()
    return env.secret(file) if file else ""


def encode_json(value: object) -> bytes:
    """Encode ``value`` as compact JSON in ASCII."""
    # Half a surrogate pair, or a line separator, passes every parser as an escape.
    return _JSON.encode(value).encode("ascii")


_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False)
