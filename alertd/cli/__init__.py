"""The command line: one module for each command, or for a few that belong together.

A command's module also holds the code that shows its answer. Heavy modules are imported inside the functions
that need them, so that ``alertd --help`` loads only typer and rich.
"""

from alertd.cli.root import app, main

__all__ = ["app", "main"]
