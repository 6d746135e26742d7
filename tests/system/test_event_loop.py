"""Which event loop the daemon gets."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys

import pytest

from alertd.system.event_loop import find_loop_factory, name_running_loop

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


def run_without_uvloop(choice: str) -> str:
    """Return what is printed for a choice where uvloop cannot be imported."""
    program = (
        "import sys; sys.modules['uvloop'] = None\n"
        "from alertd.errors import SettingsError\n"
        "from alertd.system.event_loop import find_loop_factory\n"
        "try: print(find_loop_factory(sys.argv[1]).__module__)\n"
        "except SettingsError as error: print(error)\n"
    )
    return subprocess.check_output([sys.executable, "-c", program, choice], text=True).strip()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", "asyncio.events"),
        ("asyncio", "asyncio.events"),
        # Nothing else takes its place, since somebody asked for it.
        ("uvloop", "ALERTD_EVENT_LOOP: uvloop is not installed; install alertd[fast]"),
    ],
)
def test_without_uvloop(choice: str, expected: str) -> None:
    assert run_without_uvloop(choice) == expected


@pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed")
@pytest.mark.parametrize(
    ("choice", "expected"), [("auto", "uvloop"), ("uvloop", "uvloop"), ("asyncio", "asyncio")]
)
def test_with_uvloop(choice: str, expected: str) -> None:
    async def tell() -> str:
        return name_running_loop()

    with asyncio.Runner(loop_factory=find_loop_factory(choice)) as runner:  # type: ignore[arg-type]
        assert runner.run(tell()) == expected
