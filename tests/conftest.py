"""Hypothesis's profiles, and nothing else: a fixture stands beside the tests that use it."""

import os

from hypothesis import settings

# How long one example takes says more about the machine than about the code: there is no deadline.
settings.register_profile("desk", deadline=None)
# In CI the same commit tries the same examples: what fails there fails again at a desk under CI=true.
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
