"""A pytest plugin: with ``-p tests.nonsense_plugin`` the suites run with nonsense for every sentence."""

from tests.nonsense import install

install()
