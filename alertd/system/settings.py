"""What the environment says: where the files, the ledger and the logs are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from alertd.errors import SettingsError

OFF = "off"
"""``ALERTD_LISTEN`` of a daemon that listens nowhere."""

SERVICE_CONFIG = Path("/etc/alertd")
SERVICE_STATE = Path("/var/lib/alertd")
SERVICE_RUNTIME = Path("/run/alertd")
"""Where deploy/alertd.service has them."""

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """Read from ``ALERTD_*``, and from systemd credentials named ``alertd_*``.

    An argument beats the environment, the environment beats a credential. Use :func:`settings`,
    which turns pydantic's errors into one line.
    """

    model_config = SettingsConfigDict(env_prefix="ALERTD_", extra="ignore", frozen=True)

    config: Path = Field(default=SERVICE_CONFIG, description="folder with alertd.yaml and milestones/")
    database: str = Field(
        default="", description="sqlite:///... or postgresql://... ; empty: a file in the state directory"
    )
    listen: str = Field(default="127.0.0.1:8480", description="address of the web server, or off")
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
        """Where to listen; None: nowhere."""
        return None if self.listen == OFF else parse_address(self.listen)

    def database_url(self) -> str:
        """The ledger's URL; by default SQLite in ``$STATE_DIRECTORY``, else in ``$XDG_STATE_HOME/alertd``.

        For root and the service's configuration it is the service's ledger, where there is one: so that what
        root types is about what runs.

        Raises:
            SettingsError: there is neither, nor a home directory.
        """
        if self.database:
            return self.database
        named = bool(os.environ.get("XDG_STATE_HOME"))
        services = SERVICE_STATE if self._is_the_services(SERVICE_STATE) and not named else None
        folder = _given("STATE_DIRECTORY") or services or _state_home() / "alertd"
        return f"sqlite:///{folder / 'alertd.sqlite3'}"

    def control_path(self) -> Path | None:
        """Where the daemon's control socket is; None: it has none.

        In ``$RUNTIME_DIRECTORY``, the service's for root as above, or ``$XDG_RUNTIME_DIR/alertd``; else
        beside an embedded ledger.

        Raises:
            SettingsError: see :meth:`database_url`.
        """
        own = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
        services = SERVICE_RUNTIME if self._is_the_services(SERVICE_RUNTIME) else None
        folder = _given("RUNTIME_DIRECTORY") or services or (own / "alertd" if own.is_absolute() else None)
        if folder is not None:
            return folder / "control"
        scheme, _, file = self.database_url().partition(":///")
        return Path(f"{file}-control").absolute() if scheme.startswith("sqlite") and file else None

    def _is_the_services(self, folder: Path) -> bool:
        """Whether root means the service that keeps its files in ``folder``."""
        return os.geteuid() == 0 and self.config == SERVICE_CONFIG and folder.is_dir()


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a name or an address, "" for all of this machine's; port 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``127.0.0.1:8480``, ``[::1]:8480``, ``localhost:8480`` or ``:8480``. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not is_bracketed) or not (port.isascii() and port.isdecimal()):
        raise ValueError("write host:port, such as 127.0.0.1:8480 or [::1]:8480, or off")
    if int(port) > 65_535:
        raise ValueError("a port is at most 65535")
    return Address(host=host[1:-1] if is_bracketed else host, port=int(port))


def _given(variable: str) -> Path | None:
    """The first folder that systemd has made for this process (systemd.exec(5), "RuntimeDirectory=")."""
    first = os.environ.get(variable, "").partition(":")[0]
    return Path(first) if first else None


def _state_home() -> Path:
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The specification of XDG_STATE_HOME has a relative path ignored.
    if home.is_absolute():
        return home
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise SettingsError("there is no home directory: set ALERTD_DATABASE or STATE_DIRECTORY") from error


def _may_be_read(folder: str) -> bool:
    """To what reloads the service systemd 252 names the credentials' folder, and shuts it."""
    try:
        os.listdir(folder)
    except OSError:
        return False
    return True


def settings(**given: Any) -> Settings:
    """The settings; what is given and is not None beats the environment.

    Raises:
        SettingsError: a value is not one of those that are allowed; names the variable.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    folder = credentials if credentials and _may_be_read(credentials) else None
    try:
        return Settings(_secrets_dir=folder, **{k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = f"ALERTD_{str(first['loc'][0]).upper()}" if first["loc"] else "ALERTD_*"
        raise SettingsError(f"{name}={first.get('input')!r}: {first['msg'].lower()}") from error
