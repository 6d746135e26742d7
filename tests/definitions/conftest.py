"""Provide notifiers that need no network, and a configuration folder made from texts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from alertd.core.config import Definitions
from alertd.definitions.load import load

Files = Mapping[str, str | bytes]
Load = Callable[[Files], Definitions]


class ConsoleOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WebhookOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    codes: list[int] = []
    headers: dict[str, str] = {}
    timeout: float = 10.0
    verify: bool = True


@pytest.fixture
def options() -> dict[str, type[BaseModel]]:
    """Return the options of two types of notifiers."""
    return {"console": ConsoleOptions, "webhook": WebhookOptions}


@pytest.fixture
def load_files(tmp_path: Path, options: dict[str, type[BaseModel]]) -> Load:
    """Write files into an empty folder and load them."""

    def load_them(files: Files) -> Definitions:
        (tmp_path / "milestones").mkdir(exist_ok=True)
        for name, content in files.items():
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(tmp_path, options)

    return load_them
