"""How the tests run: the profiles of Hypothesis, the number of workers, and which tests start first.

A fixture stands beside the tests that use it.
"""

import os

import pytest
from hypothesis import settings

EXAMPLES = int(os.environ.get("ALERTD_EXAMPLES", "100"))
"""The number of examples that Hypothesis tries for each test. `make sim` tries more than `make test` does."""

WORKERS_PER_CORE = 1.5
"""A worker often waits for a server or a timeout, and then another one can use the core."""

# How long one example takes says more about the machine than about the code: there is no deadline.
settings.register_profile("desk", deadline=None, max_examples=EXAMPLES)
# In CI the same commit tries the same examples: what fails there fails again at a desk under CI=true.
settings.register_profile(
    "ci", deadline=None, max_examples=EXAMPLES, derandomize=True, database=None, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of workers for ``-n auto``."""
    return round(len(os.sched_getaffinity(0)) * WORKERS_PER_CORE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests marked ``long`` before the others, so that the last worker does not run one alone."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
