"""Loads alertd with every sentence replaced by nonsense: ``python -m pytest -p tests.nonsense_plugin FILES``.

A sentence is a string constant of the code, or a part of an f-string, that holds a word and a space. The
plugin replaces each occurrence of a sentence by different nonsense. Code that builds a sentence in a place
and compares, splits or searches it in another therefore fails. If a test passes with this plugin, neither the
test nor the code that it runs depends on a sentence. The plugin leaves docstrings, regular expressions, date
formats, values of enums and texts of protocols alone.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Sequence
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

LEFT_ALONE = ("alertd.store.", "alertd.notify.", "alertd.web.", "alertd.testing.", "alertd.system.systemd")
"""Packages whose constants are SQL, headers and other protocols, or are meant for tests."""

WRITES_WORDS = ("alertd.notify.render.text", "alertd.notify.render.clean", "alertd.notify.render.outline")
"""Modules of those packages that write sentences nevertheless."""

KEPT = "ALERTD_SENTENCES_KEPT"
"""If this environment variable is set, the plugin keeps the sentences."""

PLANTED = "ALERTD_PLANTED"
"""If this environment variable names a mistake of :data:`PLANTS`, the plugin puts it into the code."""

PLANTS = {
    "prefix": (
        "alertd.core.planning.decide",
        "isinstance(why, AcknowledgedBy)",
        "_words(why).startswith('acknowledged by ')",
    ),
    "equality": (
        "alertd.core.planning.changes",
        "reminder.reason is PlainReason.MOVED_WHILE_CLOSED",
        "_words(reminder.reason) == 'it moved while it was closed'",
    ),
}
"""Decisions by a sentence, to plant: the module, its code, and the code that replaces it."""

_HELPER = """
def _words(reason):
    from alertd.core.message.reasons import describe_reason
    return describe_reason(reason)
"""

_SENTENCE = re.compile(r"(?=.*[A-Za-z]{2})(?=.*\s)", re.DOTALL)
_PATTERN = re.compile(r"\\|\(\?|%[A-Za-z]")
_FIELDS = re.compile(r"\{[^{}]*\}")


class Scrambler(ast.NodeTransformer):
    """Replaces the sentences of one module."""

    def __init__(self, module: str) -> None:
        self._module = module

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        # The values of an enum are codes, even if they look like words.
        is_enum = any(isinstance(base, ast.Name) and base.id.endswith("Enum") for base in node.bases)
        return node if is_enum else self.generic_visit(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        node.value = self.visit(node.value)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        is_pattern = (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
        )
        return node if is_pattern else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        text = node.value
        if not isinstance(text, str) or not _SENTENCE.match(text) or _PATTERN.search(text):
            return node
        place = f"{self._module}:{node.lineno}:{node.col_offset}:{text}"
        word = "zq" + blake2b(place.encode(), digest_size=5).hexdigest()
        return ast.copy_location(ast.Constant(word + "".join(_FIELDS.findall(text))), node)


class NonsenseLoader(SourceFileLoader):
    """Compiles a module of alertd without its sentences."""

    def get_code(self, fullname: str) -> CodeType | None:
        source = self.get_data(self.path).decode()
        module, there, instead = PLANTS.get(os.environ.get(PLANTED, ""), ("", "", ""))
        if fullname == module:
            if there not in source:
                raise AssertionError(f"{module} does not say {there!r} any more: plant the mistake elsewhere")
            source = source.replace(there, instead) + _HELPER
        tree: Any = ast.parse(source, self.path)
        if not os.environ.get(KEPT):
            tree = ast.fix_missing_locations(Scrambler(fullname).visit(tree))
        code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        return code


class NonsenseFinder(MetaPathFinder):
    """Finds the modules whose sentences are replaced."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("alertd.") or (
            fullname.startswith(LEFT_ALONE) and fullname not in WRITES_WORDS
        ):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = NonsenseLoader(fullname, spec.loader.path)
        return spec


def install() -> None:
    """Replace the sentences of all modules that are imported from now on.

    Raises:
        ImportError: alertd has been imported already.
    """
    if any(name.startswith("alertd.") for name in sys.modules):
        raise ImportError("alertd is loaded already: this plugin must come first, by -p")
    sys.meta_path.insert(0, NonsenseFinder())
