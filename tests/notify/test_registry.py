"""The registry of notifier types."""

from importlib.metadata import EntryPoint

import pytest

import alertd
from alertd.notify.console import ConsoleNotifier
from alertd.notify.registry import GROUP, NotifierType, NotifierUnusable, list_usable


def test_the_built_in_types_are_found_with_who_brought_them() -> None:
    types = list_usable()

    assert {"console", "email", "slack", "webhook"} <= types.keys()
    assert (types["console"].distribution, types["console"].version) == ("alertd", alertd.__version__)
    assert types["console"].load() is ConsoleNotifier


@pytest.mark.parametrize(
    ("value", "why"),
    [
        # A package that was removed only in part.
        ("no_such_package.notify:Thing", "ModuleNotFoundError"),
        # An object that is not a notifier class.
        ("json:dumps", "its Options is not a pydantic model"),
    ],
)
def test_a_type_that_cannot_be_used_says_whose_it_is(value: str, why: str) -> None:
    broken = NotifierType(
        name="pager",
        distribution="alertd-pager",
        version="2.1",
        entry_point=EntryPoint("pager", value, GROUP),
    )

    with pytest.raises(NotifierUnusable, match=r"'pager' of alertd-pager 2\.1") as caught:
        broken.load()

    assert why in str(caught.value)
