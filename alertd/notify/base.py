"""What a notifier is made of: its class contract, its surroundings, and the shapes of its options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self, TextIO, runtime_checkable

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from alertd.core.config import Smtp
from alertd.core.message.message import Message
from alertd.notify.email.relay import Relay
from alertd.notify.http.client import HttpClient
from alertd.ports import Clock, Notifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What a notifier may use of the world. One for all notifiers of a process.

    Attributes:
        http: the only way to speak HTTP; its ``egress`` is the only way to connect to anything else.
        clock: the only way to know the time.
        secret: from the value of a ``*_file`` option to the secret; read at each send. Raises
            :class:`alertd.system.secrets.SecretUnreadable`.
        path: from the value of a ``*_file`` option to where that file is.
        out: where the console notifier prints.
        smtp: the mail relay, and ``relay`` the connections to it.
        host: the domain of Message-IDs; not a container's name, it should stay the same for years.
    """

    http: HttpClient
    clock: Clock
    secret: Callable[[str], str] = field(repr=False)
    out: TextIO
    path: Callable[[str], Path] = Path
    smtp: Smtp = field(default_factory=Smtp)
    relay: Relay = field(default_factory=Relay)
    host: str = "localhost"


class NotifierClass(Protocol):
    """What an entry point in the group ``alertd.notifiers`` names: a class of notifiers.

    ``Options`` is a pydantic model that forbids unknown keys, keeps inline secrets as ``SecretStr`` and takes
    each secret ``x`` also as ``x_file``; ``alertd notifiers`` shows the docstrings of the class and of the
    options. A class that needs a package beyond those of its distribution says so in a static method
    ``missing``: what to install, or "". Making a notifier does no I/O and cannot fail for valid options;
    ``send`` and ``aclose`` are those of :class:`alertd.ports.Notifier`.
    """

    @property
    def Options(self) -> type[BaseModel]: ...  # noqa: N802  a class, though a member

    def __call__(self, options: Any, env: Env) -> Notifier: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a notifier would send: the body of one request.

    Attributes:
        media_type: without parameters; a mail is ``message/rfc822``.
        text: what would be sent, to the byte, but that ``[hidden]`` stands for each secret.
        note: what is to be said of it, such as that the template failed; "" for nothing.
    """

    media_type: str
    text: str
    note: str = ""


@runtime_checkable
class Renders(Protocol):
    """A notifier that can show what it would send. Not every one has to; the built-in ones all do."""

    def render(self, message: Message) -> Sequence[Rendered]:
        """The bodies in the order in which ``send`` would send them, as the first about their milestones.

        No I/O but reading a template. Raises nothing for a message that ``send`` would take.
        """


class NotifierOptions(BaseModel):
    """The base of every notifier's options."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # A validation error names the key and the rule; what was given may be a secret.
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @property
    def follows(self) -> bool:
        """Whether it shows where a milestone stands, such as an incident that is open until it is closed.

        Then it is also told, at once, that a milestone was acknowledged or cancelled: a message about that
        one milestone, with the cause ``acknowledged`` or ``cancelled``.
        """
        return False


class TlsOptions(NotifierOptions):
    """The base of the options of who speaks TLS: to :func:`alertd.notify.http.tls.tls_of` at each send."""

    ca_file: str = ""
    """Certificates to trust instead of the system's, as PEM."""
    client_cert_file: str = ""
    """A certificate to show, for a server that asks for one."""
    client_key_file: str = ""
    """Its key, unless ``client_cert_file`` holds it too; not encrypted."""

    @model_validator(mode="after")
    def _has_a_certificate(self) -> Self:
        if self.client_key_file and not self.client_cert_file:
            raise ValueError("client_key_file is nothing without client_cert_file")
        return self


def texts_of(value: object, option: str = "") -> Iterator[tuple[str, str | SecretStr]]:
    """Every text that options hold, however deep, with the innermost option that it stands under."""
    if isinstance(value, str | SecretStr):
        yield option, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from texts_of(getattr(value, name), name)
    elif isinstance(value, Mapping):
        yield from texts_of(list(value.values()), option)
    elif isinstance(value, Iterable):
        for one in value:
            yield from texts_of(one, option)


def exactly_one(options: BaseModel, name: str) -> None:
    """Raise ValueError unless just one of ``name`` and ``<name>_file`` is given."""
    given = at_most_one(options, name)
    if not given:
        raise ValueError(f"{name} or {name}_file is required")


def at_most_one(options: BaseModel, name: str) -> bool:
    """Whether one of ``name`` and ``<name>_file`` is given. Raises ValueError when both are."""
    inline, file = bool(getattr(options, name)), bool(getattr(options, f"{name}_file"))
    if inline and file:
        raise ValueError(f"{name} and {name}_file exclude each other")
    return inline or file


def revealed(inline: SecretStr | None, file: str, env: Env) -> str:
    """The secret itself, from whichever of the two was given; "" when neither was."""
    if inline is not None:
        return inline.get_secret_value()
    return env.secret(file) if file else ""
