"""List the files that a configuration names: secrets of notifiers, relay and heartbeat, and templates."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from alertd.core.config import Config
from alertd.notify.base import TlsOptions, iterate_texts
from alertd.notify.http.tls import NamedTlsFiles

_NO_SECRETS = ("ca_file", "client_cert_file", "template_file")
_KEY = "client_key_file"


def list_secret_files(config: Config, *, with_keys: bool = False) -> tuple[str, ...]:
    """Return the names of the secret files, sorted.

    Args:
        with_keys: include the private keys of TLS, which are read with their certificates and not as texts.
    """
    names = (name for option, name in _find_names(config) if with_keys or option != _KEY)
    return tuple(sorted(set(names) - {""}))


def list_template_files(config: Config) -> tuple[str, ...]:
    """Return the names of the files with templates, sorted."""
    texts = (
        iterate_texts(spec.options) for receiver in config.receivers.values() for spec in receiver.notifiers
    )
    found = {text for named in texts for option, text in named if option == "template_file" and text}
    return tuple(sorted(text for text in found if isinstance(text, str)))


def list_tls_files(config: Config) -> frozenset[NamedTlsFiles]:
    """Return the names of the certificate files that belong together."""
    options = [spec.options for receiver in config.receivers.values() for spec in receiver.notifiers]
    named = [NamedTlsFiles.copy(given) for given in options if isinstance(given, TlsOptions)]
    return frozenset(filter(None, (*named, NamedTlsFiles.copy(config.smtp))))


def _find_names(config: Config) -> Iterator[tuple[str, str]]:
    for receiver in config.receivers.values():
        for spec in receiver.notifiers:
            for option, text in iterate_texts(spec.options):
                if option.endswith("_file") and option not in _NO_SECRETS and not isinstance(text, SecretStr):
                    yield option, text
    yield "password_file", config.smtp.password_file
    yield _KEY, config.smtp.client_key_file
    if config.heartbeat is not None:
        yield "url_file", config.heartbeat.url_file
