"""Test that every built-in notifier is tested with the contract suite of `alertd.testing.contract`.

The tests themselves are in `tests/notify/test_TYPE.py`: see `tests/notify/contract.py`.
"""

import pytest

from tests.notify.contract import contract_of, own_types


@pytest.mark.parametrize("type_name", own_types())
def test_every_built_in_type_is_under_contract(type_name: str) -> None:
    assert contract_of(type_name).__name__.startswith("Test")


def test_a_type_without_a_contract_is_told_what_to_write() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"Write tests/notify/test_no_such_type\.py with"):
        contract_of("no_such_type")
