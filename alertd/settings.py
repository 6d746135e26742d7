"""What the environment says: where the files, the ledger and the logs are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from alertd.errors import SettingsError

LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """Read from ``ALERTD_*``, and from systemd credentials named ``alertd_*``.

    An argument beats the environment, the environment beats a credential. Use :func:`settings`,
    which turns pydantic's errors into one line.
    """

    model_config = SettingsConfigDict(env_prefix="ALERTD_", extra="ignore", frozen=True)

    config: Path = Field(default=Path("/etc/alertd"), description="folder with alertd.yaml and milestones/")
    database: str = Field(
        default="", description="sqlite:///... or postgresql://... ; empty: a file in the state directory"
    )
    listen: str = Field(default="127.0.0.1:8480", description="address of the web server")
    log_format: LogFormat = Field(default="auto", description="auto: console on a terminal, else json")
    log_level: LogLevel = Field(default="info", description="the least severe log event that is written")

    def database_url(self) -> str:
        """The ledger's URL; by default SQLite in ``$STATE_DIRECTORY``, else in ``$XDG_STATE_HOME/alertd``.

        Raises:
            SettingsError: there is neither, nor a home directory.
        """
        if self.database:
            return self.database
        state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
        return f"sqlite:///{(Path(state) if state else _state_home() / 'alertd') / 'alertd.sqlite3'}"


def _state_home() -> Path:
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    # The specification of XDG_STATE_HOME has a relative path ignored.
    if home.is_absolute():
        return home
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise SettingsError("there is no home directory: set ALERTD_DATABASE or STATE_DIRECTORY") from error


def settings(**given: Any) -> Settings:
    """The settings; what is given and is not None beats the environment.

    Raises:
        SettingsError: a value is not one of those that are allowed; names the variable.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    folder = credentials if credentials and Path(credentials).is_dir() else None
    try:
        return Settings(_secrets_dir=folder, **{k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = f"ALERTD_{str(first['loc'][0]).upper()}" if first["loc"] else "ALERTD_*"
        raise SettingsError(f"{name}={first.get('input')!r}: {first['msg'].lower()}") from error
