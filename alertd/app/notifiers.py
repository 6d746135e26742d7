"""Makes the notifiers of a configuration, and sends test messages by them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from alertd.core.config import Config
from alertd.system.clock import SystemClock

if TYPE_CHECKING:
    from alertd.core.config import NotifierSpec
    from alertd.core.ledger.outcome import Outcome
    from alertd.notify.http.client import HttpClient
    from alertd.notify.http.tls import Tls, TlsFiles
    from alertd.ports import Clock, Notifier


def make_notifiers(
    config: Config,
    folder: Path,
    http: HttpClient,
    clock: Clock,
    out: TextIO,
    *,
    secret: Callable[[str], str] | None = None,
    template: Callable[[str], str] | None = None,
    tls: Callable[[TlsFiles], Tls] | None = None,
) -> dict[str, Notifier]:
    """Make every notifier of a configuration, by channel, ``receiver/notifier``, without I/O.

    An :class:`alertd.notify.unmade.Unmade` stands for a notifier that cannot be made, so that the other
    notifiers are used. From now on ``http`` applies the configuration's ``network``.

    Args:
        secret: reads the secret file that an option names; by default, each time from the file.
        template: the same for a file with a template.
        tls: the same for certificate files.
    """
    from alertd.notify.base import Env
    from alertd.notify.email.address import find_mail_domain
    from alertd.notify.registry import list_usable
    from alertd.notify.smtp.relay import Relay
    from alertd.notify.unmade import Unmade
    from alertd.system.secrets import file_paths, secret_files

    types = list_usable()
    http.egress.network = config.network
    env = Env(
        http=http,
        clock=clock,
        secret=secret or secret_files(folder, os.environ),
        path=file_paths(folder, os.environ),
        template=template,
        tls=tls,
        out=out,
        smtp=config.smtp,
        relay=Relay(transcript=http.transcript, system=http.system),
        host=find_mail_domain(config.smtp.sender),
    )

    def make(spec: NotifierSpec) -> Notifier:
        try:
            return types[spec.type].load()(spec.options, env)
        except Exception as error:  # a third-party notifier may raise anything
            return Unmade(error)

    return {
        f"{receiver.name}/{spec.name}": make(spec)
        for receiver in config.receivers.values()
        for spec in receiver.notifiers
    }


_USED: Mapping[str, tuple[str, ...]] = {
    "apprise": ("apprise",),
    "console": ("alertd.notify.render.terminal",),
    "email": ("aiosmtplib", "alertd.notify.email.message", "jinja2", "alertd.notify.smtp.watched"),
    "exec": (),
    "file": (),
}
"""The modules that a type of notifier imports when it first sends. All others send by HTTP."""


def import_used(config: Config) -> None:
    """Import what the notifiers of a configuration import when they first send. Any thread may call this.

    That takes up to a fifth of a second, in which the loop would do nothing else.
    """
    types = {spec.type for receiver in config.receivers.values() for spec in receiver.notifiers}
    for kind in types:
        for module in _USED.get(kind, ("alertd.notify.http.transport",)):
            # An extra may be missing. The notifier reports that when it sends.
            with suppress(ImportError):
                import_module(module)


async def send_test(
    config: Config, folder: Path, receiver: str, *, secret: Callable[[str], str] | None = None
) -> list[tuple[str, Outcome]]:
    """Send a test message by each notifier of a receiver. Returns the outcomes, each with its channel.

    Args:
        secret: reads the secret file that an option names; by default, each time from the file.
    """
    from alertd.notify.http.client import HttpClient
    from alertd.notify.trial import try_notifiers

    clock, http = SystemClock(), HttpClient()
    made = make_notifiers(config, folder, http, clock, find_stdout(), secret=secret)
    try:
        return [result async for result in try_notifiers(made, config.receivers[receiver], clock.now())]
    finally:
        for notifier in made.values():
            await notifier.aclose()
        await http.aclose()


def find_stdout() -> TextIO:
    """Return standard output, or a closed stream if there is none, so that writing fails."""
    if sys.stdout is not None:
        return sys.stdout
    closed = io.StringIO()
    closed.close()
    return closed
