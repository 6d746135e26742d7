"""Counts the calls of a function, for tests of what is computed once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Calls:
    """How often a function was called."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def counting(function: Callable[..., object]) -> Iterator[Calls]:
    """Count the calls of ``function``, which is written in Python, from anywhere in this thread."""
    calls, before = Calls(), sys.getprofile()  # blocks may be nested

    def look(frame: FrameType, event: Any, argument: object) -> None:
        if event == "call" and frame.f_code is function.__code__:
            calls.count += 1
        if before is not None:
            before(frame, event, argument)

    sys.setprofile(look)
    try:
        yield calls
    finally:
        sys.setprofile(before)
