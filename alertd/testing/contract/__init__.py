"""The contract of notifiers as a pytest suite, for alertd's own and for anyone's.

    from alertd.testing.contract import CANARY, HttpContract

    class TestGotify(HttpContract):
        type_name = "gotify"

        def options(self, url, timeout_s):
            return {"url": url, "token": CANARY, "timeout": timeout_s}

The only module of alertd that needs pytest.
"""

from __future__ import annotations

import pytest

# So that a failing assertion shows its values, as in a test of one's own.
pytest.register_assert_rewrite("alertd.testing.contract.suite", "alertd.testing.contract.http_suite")

from alertd.testing.contract.http_suite import STATUSES, HttpContract, HttpRig  # noqa: E402
from alertd.testing.contract.rig import CANARY, EXPECTED, Rig, Trouble  # noqa: E402
from alertd.testing.contract.suite import NotifierContract  # noqa: E402

__all__ = [
    "CANARY",
    "EXPECTED",
    "STATUSES",
    "HttpContract",
    "HttpRig",
    "NotifierContract",
    "Rig",
    "Trouble",
]
