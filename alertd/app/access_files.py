"""Reads the files that access depends on: tokens, users, secrets, templates and certificates."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from alertd.app.ledger import embedded_file
from alertd.core.config import Config
from alertd.system.settings import Settings

if TYPE_CHECKING:
    from alertd.core.access import Web
    from alertd.notify.http.tls import Tls, TlsFiles, TlsLoader
    from alertd.system.kept_files import FileUse
    from alertd.system.telemetry import Log
    from alertd.web.server.signing import Signer, SiteSecret

CERTIFICATES = "certificates"


class AccessFiles:
    """The files that access depends on: tokens, users, the signing secret, and the secrets of notifiers.

    Templates of webhooks are read in the same way.

    A thread reads them, and the loop uses their last good content.

    Args:
        shared: the secret that the nodes share; see :func:`read_shared_secret`.
    """

    def __init__(self, settings: Settings, log: Log, shared: str) -> None:
        from alertd.system.file_thread import FileThread
        from alertd.system.kept_files import KeptFiles
        from alertd.system.secrets import file_paths, secret_files
        from alertd.web.server.credentials import CredentialFiles

        # These files have their own thread, since the thread of the definitions may be busy with thousands.
        self.kept = KeptFiles(log, FileThread())
        self.find = file_paths(settings.config, os.environ)
        self._read_secret = secret_files(settings.config, os.environ)
        self._credentials = CredentialFiles(self.find, log)
        embedded = embedded_file(settings.database_url())
        self._state = embedded.parent if embedded else None
        self._shared = shared
        self._serves = settings.address is not None
        self._in_force: Config | None = None

    def read_secret(self, name: str) -> str:
        """Return the secret in the file that a ``*_file`` option names. Raises SecretUnreadable."""
        from alertd.system.kept_files import FileUse

        return self.kept.read(FileUse("secret", name), partial(self._read_secret, name))

    def find_tls(self, options: TlsFiles) -> Tls:
        """Return the certificate files that options name, with their context. Raises TlsUnusable."""
        from alertd.notify.http.tls import SYSTEM, NamedTlsFiles, TlsLoader, TlsUnusable
        from alertd.system.kept_files import FileUse
        from alertd.system.secrets import SecretUnreadable

        names = NamedTlsFiles.copy(options)
        if not names:
            return SYSTEM
        try:
            return self.kept.read(
                FileUse(CERTIFICATES, str(names)), partial(_load_tls, TlsLoader(names, self.find))
            )
        except SecretUnreadable as error:
            raise TlsUnusable(str(error)) from error

    def read_template(self, name: str) -> str:
        """Return the template in the file that an option names. Raises SecretUnreadable."""
        from alertd.system.kept_files import FileUse

        return self.kept.read(FileUse("template", name), partial(self._load_template, name))

    def _load_template(self, name: str) -> str:
        from alertd.notify.webhook.options import read_template
        from alertd.system.secrets import SecretUnreadable

        try:
            return read_template(self.find(name))
        except ValueError as error:
            raise SecretUnreadable(f"template {error}") from error

    def make_signer(self, web: Callable[[], Web]) -> Signer:
        """Make the signer of sessions and links. All nodes of a ledger sign with the same secret.

        Args:
            web: returns the section ``web`` of ``alertd.yaml``, which may name a file of secrets.
        """
        from alertd.web.server.signing import Signer

        return Signer(self._make_site_secret(web))

    def watch(self, config: Config) -> None:
        """Read the files that a configuration names, and again at each refresh of :attr:`kept`.

        The configuration may still be refused, so the files of the one in force are watched on.
        """
        in_force = self._in_force
        self.kept.watch({**(self._list_uses(in_force) if in_force else {}), **self._list_uses(config)})

    def adopt(self, config: Config) -> None:
        """Forget the files that only other configurations name. Reads nothing, and so does not wait."""
        self._in_force = config
        self.kept.keep_only(self._list_uses(config).keys())

    def _list_uses(self, config: Config) -> dict[FileUse, Callable[[], Any]]:
        """Return the uses of files in a configuration, each with the function that reads the file."""
        from alertd.notify.http.tls import TlsLoader
        from alertd.notify.secret_files import list_secret_files, list_template_files, list_tls_files
        from alertd.system.kept_files import FileUse
        from alertd.web.server.signing import make_signing_use

        uses: dict[FileUse, Callable[[], Any]] = {
            FileUse("secret", name): partial(self._read_secret, name) for name in list_secret_files(config)
        }
        uses |= {
            FileUse("template", name): partial(self._load_template, name)
            for name in list_template_files(config)
        }
        for names in list_tls_files(config):
            use = FileUse(CERTIFICATES, str(names))
            # The same function as before, which knows whether the files have changed.
            uses[use] = self.kept.find_loader(use) or partial(_load_tls, TlsLoader(names, self.find))
        uses |= self._credentials.list_uses(config.web.access)
        named = config.web.secret_file
        if (self._serves or config.web.external_url) and (named or self._state is not None):
            use = make_signing_use(named)
            # The same function as before, which knows whether alertd has made its own file already.
            uses[use] = self.kept.find_loader(use) or partial(
                self._make_site_secret(lambda: config.web).load, named
            )
        return uses

    def _make_site_secret(self, web: Callable[[], Web]) -> SiteSecret:
        from alertd.web.server.signing import SiteSecret

        return SiteSecret(web, self.find, self._state, self._shared, self.kept)


def _load_tls(loader: TlsLoader) -> Tls:
    from alertd.notify.http.tls import TlsUnusable
    from alertd.system.secrets import SecretUnreadable

    try:
        return loader.load()
    except TlsUnusable as error:
        raise SecretUnreadable(str(error)) from error
