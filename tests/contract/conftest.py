"""One PostgreSQL server for all tests of the ledger, and a database of its own for each."""

from collections.abc import Iterator

import pytest

from tests.postgres import Server, make_template, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """It is as fast as can be, and would not survive a crash."""
    with server() as made:
        make_template(made)
        yield made
