"""Check scripts before they run: what does not compile, and with lint what would fail when it runs.

It runs in a worker, because compiling can be an attack too. Lint looks for undefined names, imports that will be
refused, names that a module does not have and a ``get_action`` that never fills ``self.action``. It reports only what
is certain: a script that uses ``exec`` or ``globals`` may define any name.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator
from typing import Literal

from app.sandbox.protocol import FAULTS, CheckScripts, Fault
from app.sandbox.worker.imports import SCRIPT_BUILTINS, has, module_of, offered, refusal
from app.sandbox.worker.module_names import lacks, missing_names
from app.sandbox.worker.script import MODULES, OWN_NAMES

_GIVEN = {*SCRIPT_BUILTINS, *MODULES, *OWN_NAMES, "__class__"}
# A script that uses one of these may define any name, and fill any dict.
_REFLECTIVE = {"exec", "eval", "globals", "vars", "locals"}
_MAX_LENGTH = 1_000
_LAST_LINE = 10**6


def faults(request: CheckScripts) -> list[Fault]:
    """Return the faults of all scripts in order, at most ``FAULTS`` of them."""
    found = [fault for name, source in request.scripts.items() for fault in _faults(name, source, request.lint)]
    return found[:FAULTS]


def _faults(name: str, source: str, lint: bool) -> list[Fault]:
    try:
        compile(source, name, "exec", dont_inherit=True)
        return sorted(_findings(name, source), key=lambda fault: (fault.line, fault.column)) if lint else []
    except SyntaxError as error:
        return [_fault(name, error.lineno or 1, error.offset or 1, str(error.msg))]
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        return [_fault(name, 1, 1, str(error) or "the script is too deeply nested to compile")]


def _fault(name: str, line: int, column: int, message: str, severity: Literal["error", "warning"] = "error") -> Fault:
    text = message.encode("utf-8", "replace").decode()[:_MAX_LENGTH]
    return Fault(name, min(max(line, 1), _LAST_LINE), min(max(column, 1), _LAST_LINE), text, severity)


def _findings(name: str, source: str) -> Iterator[Fault]:
    tree = ast.parse(source)
    table = symtable.symtable(source, name, "exec")
    unknown = _unknown(table)
    stars = any(isinstance(node, ast.alias) and node.name == "*" for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in unknown and not stars:
            yield _at(name, node, f"name {node.id!r} is not defined{_withheld(node.id)}")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (_at(name, node, message) for message in _refused(node))
    yield from (_at(name, node, message) for node, message in missing_names(tree, table))
    if name == "get_action" and tree.body and not _fills_action(tree):
        yield _fault(name, 1, 1, "self.action is never filled, so every answer will be empty", "warning")


def _withheld(name: str) -> str:
    """Why a name that Python has is missing here."""
    return " (not available in scripts)" if hasattr(builtins, name) else ""


def _at(name: str, node: ast.stmt | ast.expr, message: str) -> Fault:
    return _fault(name, node.lineno, node.col_offset + 1, message)


def _unknown(module: symtable.SymbolTable) -> set[str]:
    """Return the names that some part of the script looks up in the module and no part ever binds."""
    looked_up: set[str] = set()
    known = set(_GIVEN)
    tables = [module]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        for symbol in table.get_symbols():
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_parameter() or symbol.is_namespace():
                known.add(symbol.get_name())
            elif symbol.is_referenced():
                looked_up.add(symbol.get_name())
    return set() if looked_up & _REFLECTIVE else looked_up - known


def _refused(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return what is wrong with an import: a module that is not offered, or one that lacks an imported name."""
    if isinstance(node, ast.Import):
        return [refusal(alias.name) for alias in node.names if not offered(alias.name)]
    if not offered(node.module or "", node.level):
        return [refusal("." * node.level + (node.module or ""))]
    name = str(node.module)
    wanted = [alias.name for alias in node.names if alias.name != "*"]
    return [lacks(name, one) for one in wanted if not has(module_of(name), one)]


def _fills_action(tree: ast.AST) -> bool:
    """Return whether the script may fill ``self.action``: it names it, or passes ``self`` on."""
    reads = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr != "action"}
    return any(
        isinstance(node, ast.Name) and node.id in {"self", *_REFLECTIVE}
        for node in ast.walk(tree)
        if id(node) not in reads
    )
