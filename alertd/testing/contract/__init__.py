"""The contract of notifiers as a pytest suite, both for alertd's notifiers and for yours.

    from alertd.testing.contract import CANARY, HttpContract

    class TestGotify(HttpContract):
        type_name = "gotify"

        def options(self, url, timeout_s):
            return {"url": url, "token": CANARY, "timeout": timeout_s}

No other module of alertd needs pytest.
"""

from __future__ import annotations

import pytest

# pytest rewrites the assertions of this suite, so that a failing assertion shows its values.
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
