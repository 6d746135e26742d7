"""The package as it is installed."""

from importlib import metadata

import alertd


def test_the_version_is_the_installed_one() -> None:
    """`alertd.__version__` is what the installed package's metadata says."""
    installed = metadata.version("alertd")

    assert alertd.__version__ == installed
