"""How the tests run: the profiles of Hypothesis, the number of workers, and which tests start first.

Fixtures are defined in the folders whose tests use them.
"""

import os

import pytest
from hypothesis import settings

EXAMPLES = int(os.environ.get("ALERTD_EXAMPLES", "50"))
"""The number of examples that Hypothesis tries for each test. `make sim` sets a larger one."""

WORKERS_PER_CORE = 1.5
"""A worker often waits for a process or a timeout, and then another worker can use the core. The end-to-end
tests run real processes with time limits, so there are not many more workers than cores."""

LONG_S = 5
"""How long a test marked ``long`` takes if its mark does not say, in seconds."""

# How long one example takes says more about the machine than about the code: there is no deadline.
settings.register_profile("desk", deadline=None, max_examples=EXAMPLES)
# In CI the same commit tries the same examples: what fails there fails again at a desk under CI=true.
settings.register_profile(
    "ci", deadline=None, max_examples=EXAMPLES, derandomize=True, database=None, print_blob=True
)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of workers for ``-n auto``, and the number of cores for ``-n logical``."""
    cores = os.cpu_count() or 1
    return cores if config.getoption("numprocesses") == "logical" else int(cores * WORKERS_PER_CORE)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each worker an equal share of the tests marked ``long``, and let it begin with its share.

    ``long(seconds)`` is for a test that takes much longer than the others. The longest tests start before all
    others, because a worker that began with one late would be the last to finish.

    xdist cuts the list into one part for each worker, and a worker that has finished takes tests from the end
    of another worker's part. So no worker runs a long test alone at the end.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    marked = [(item, item.get_closest_marker("long")) for item in items]
    expected_s = {item: mark.args[0] if mark.args else LONG_S for item, mark in marked if mark is not None}
    long = sorted(expected_s, key=expected_s.__getitem__, reverse=True)
    rest = [item for item, mark in marked if mark is None]
    left = len(items)
    items.clear()
    for worker in range(workers):
        share = long[worker::workers]
        size = left // (workers - worker)  # as xdist cuts the list
        room = max(0, size - len(share))
        items += share + rest[:room]
        del rest[:room]
        left -= size
