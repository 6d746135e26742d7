"""Chooses the event loop of the daemon: uvloop if it is installed, else asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from alertd.errors import SettingsError
from alertd.system.settings import EventLoop


def find_loop_factory(choice: EventLoop) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop that ``ALERTD_EVENT_LOOP`` chooses.

    Raises:
        SettingsError: it chooses uvloop, which is not installed.
    """
    if choice == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError as error:
        if choice == "auto":
            return asyncio.new_event_loop
        raise SettingsError("ALERTD_EVENT_LOOP: uvloop is not installed; install alertd[fast]") from error
    return uvloop.new_event_loop


def name_running_loop() -> str:
    """Return ``asyncio`` or ``uvloop``: the package of the running event loop."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]
