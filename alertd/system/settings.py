"""Read the settings from the environment: the paths of the files, the ledger, the address and the logs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from alertd.errors import SettingsError

OFF = "off"
"""The value of ``ALERTD_LISTEN`` that turns the web server off."""

SERVICE_CONFIG = Path("/etc/alertd")
SERVICE_STATE = Path("/var/lib/alertd")
SERVICE_RUNTIME = Path("/run/alertd")
"""The folders that deploy/alertd.service uses."""

EventLoop = Literal["auto", "asyncio", "uvloop"]
LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """Settings from ``ALERTD_*`` variables and from systemd credentials named ``alertd_*``.

    An argument takes precedence over a variable, and a variable over a credential. Use :func:`read_settings`,
    which turns errors of pydantic into one line.
    """

    model_config = SettingsConfigDict(env_prefix="ALERTD_", extra="ignore", frozen=True)

    config: Path = Field(default=SERVICE_CONFIG, description="folder with alertd.yaml and milestones/")
    database: str = Field(
        default="", description="sqlite:///... or postgresql://... ; empty: a file in the state directory"
    )
    listen: str = Field(default="127.0.0.1:8480", description="address of the web server, or off")
    event_loop: EventLoop = Field(default="auto", description="auto: uvloop if it is installed, else asyncio")
    log_format: LogFormat = Field(default="auto", description="auto: console on a terminal, else json")
    log_level: LogLevel = Field(default="info", description="the least severe log event that is written")

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        if text != OFF:
            parse_address(text)
        return text

    @property
    def address(self) -> Address | None:
        """The address to listen on, or None if the web server is off."""
        return None if self.listen == OFF else parse_address(self.listen)

    def database_url(self) -> str:
        """Return the ledger's URL.

        The default is a SQLite file in the first of these folders:

        1. ``$STATE_DIRECTORY``, which systemd sets for the service
        2. the service's state folder, if it exists, the user is root and the configuration is the service's,
           so that commands of root use the ledger of the running service
        3. ``$XDG_STATE_HOME/alertd``, by default ``~/.local/state/alertd`` (XDG Base Directory Specification)

        If ``$XDG_STATE_HOME`` is set, the second folder is skipped.

        Raises:
            SettingsError: none of the variables is set and the user has no home directory.
        """
        if self.database:
            return self.database
        named = bool(os.environ.get("XDG_STATE_HOME"))
        services = SERVICE_STATE if self._is_the_services(SERVICE_STATE) and not named else None
        folder = _find_service_folder("STATE_DIRECTORY") or services or _find_state_home() / "alertd"
        return f"sqlite:///{folder / 'alertd.sqlite3'}"

    def control_path(self) -> Path | None:
        """Return the path of the daemon's control socket, or None if there is no place for a socket.

        The socket is in the first of these folders:

        1. ``$RUNTIME_DIRECTORY``, which systemd sets for the service
        2. the service's runtime folder, under the same conditions as in :meth:`database_url`
        3. ``$XDG_RUNTIME_DIR/alertd``
        4. the folder of a SQLite ledger

        Raises:
            SettingsError: see :meth:`database_url`.
        """
        own = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
        services = SERVICE_RUNTIME if self._is_the_services(SERVICE_RUNTIME) else None
        folder = (
            _find_service_folder("RUNTIME_DIRECTORY")
            or services
            or (own / "alertd" if own.is_absolute() else None)
        )
        if folder is not None:
            return folder / "control"
        scheme, _, file = self.database_url().partition(":///")
        return Path(f"{file}-control").absolute() if scheme.startswith("sqlite") and file else None

    def _is_the_services(self, folder: Path) -> bool:
        """Return whether root runs a command for the service that keeps its files in ``folder``."""
        return os.geteuid() == 0 and self.config == SERVICE_CONFIG and folder.is_dir()


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on.

    Attributes:
        host: a host name or an IP address; "" means all addresses of this machine.
        port: the TCP port; 0 means any free port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse an address such as ``127.0.0.1:8480``, ``[::1]:8480``, ``localhost:8480`` or ``:8480``.

    Raises:
        ValueError: the text is not an address. The message says what to write.
    """
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not is_bracketed) or not (port.isascii() and port.isdecimal()):
        raise ValueError("write host:port, such as 127.0.0.1:8480 or [::1]:8480, or off")
    if int(port) > 65_535:
        raise ValueError("a port is at most 65535")
    return Address(host=host[1:-1] if is_bracketed else host, port=int(port))


def _find_service_folder(variable: str) -> Path | None:
    """Return the first folder in a variable that systemd sets (systemd.exec(5), "RuntimeDirectory=")."""
    first = os.environ.get(variable, "").partition(":")[0]
    return Path(first) if first else None


def _find_state_home() -> Path:
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The XDG Base Directory Specification says that a relative path must be ignored.
    if home.is_absolute():
        return home
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise SettingsError("there is no home directory: set ALERTD_DATABASE or STATE_DIRECTORY") from error


def _is_readable(folder: str) -> bool:
    """Return whether the folder of the credentials can be read.

    systemd 252 sets its variable also for ExecReload= commands, which cannot read the folder.
    """
    try:
        os.listdir(folder)
    except OSError:
        return False
    return True


def read_settings(**given: Any) -> Settings:
    """Read the settings.

    Args:
        given: values by setting. A value other than None takes precedence over the environment.

    Raises:
        SettingsError: a value is not allowed. The message names the variable.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    folder = credentials if credentials and _is_readable(credentials) else None
    try:
        return Settings(_secrets_dir=folder, **{k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = f"ALERTD_{str(first['loc'][0]).upper()}" if first["loc"] else "ALERTD_*"
        raise SettingsError(f"{name}={first.get('input')!r}: {first['msg'].lower()}") from error
