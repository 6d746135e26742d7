"""Have the garbage collector run less often, where many objects are created and few become cyclic garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_collector() -> Iterator[None]:
    """Turn the garbage collector off in the block. With the collector on, loading takes twice as long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


YOUNG_OBJECTS = 20_000
"""After how many new objects the collector looks for cycles among them. Python's default of 700 is about two
deliveries. Almost all objects of a delivery end without the collector, so most collections find nothing: they
took an eighth of the processor time of a busy daemon."""


def collect_rarely() -> None:
    """Have the garbage collector of this process run seldom enough for a daemon that sends much."""
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
