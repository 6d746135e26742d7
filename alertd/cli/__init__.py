"""The command line: one module for each command, or for a few that belong together.

A command's module also holds the code that shows its answer. Heavy modules are imported inside the functions
that need them, and only the module of the command that is run is imported.
"""

from alertd.cli.root import main, make_app

__all__ = ["main", "make_app"]
