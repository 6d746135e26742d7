"""The command line: one module a command, its rendering beside it in ``show_*.py``.

What is heavy is imported where it is used, so that ``alertd --help`` loads nothing but typer.
"""

from alertd.cli.root import app, main

__all__ = ["app", "main"]
