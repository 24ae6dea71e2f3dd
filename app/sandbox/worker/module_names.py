"""Names that a script looks up in a module, as in ``sp.stats.norm``, and that the module does not have.

The check runs in a worker, which is confined as those that run scripts: what a module lacks here it lacks there.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from app.sandbox.worker.imports import has, module_of, offered
from app.sandbox.worker.script import MODULES

# A script that uses one of these may ask whether a module has a name, or set the name itself.
_CAREFUL = {
    "suppress",
    "contextlib",
    "hasattr",
    "getattr",
    "setattr",
    "dir",
    "vars",
    "globals",
    "locals",
    "exec",
    "eval",
}


def lacks(module: str, name: str) -> str:
    """Return the message for a name that a module does not have for scripts."""
    return f"{module!r} has no {name!r} that scripts can use"


def missing_names(tree: ast.Module, table: symtable.SymbolTable) -> Iterator[tuple[ast.Attribute, str]]:
    """Yield each look-up of a name that a module certainly does not have, with a message.

    Nothing is certain below a ``try``, for a name that the script sets on some module, or of a variable that is bound
    to anything but one import.
    """
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if names & _CAREFUL:
        return
    modules = _modules(tree, table)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    changed = {node.attr for node in nodes if not isinstance(node.ctx, ast.Load)}
    guarded = {id(node) for one in ast.walk(tree) if isinstance(one, ast.Try) for node in ast.walk(one)}
    for node in nodes:
        module = _module(node.value, modules)
        if module is None or node.attr in changed or id(node) in guarded or has(module, node.attr):
            continue
        yield node, lacks(ast.unparse(node.value), node.attr)


def _modules(tree: ast.Module, table: symtable.SymbolTable) -> dict[str, Any]:
    """Return the modules by the names that the script has for them and for nothing else."""
    bound = _bound(table)
    found = {name: module for name, module in MODULES.items() if name not in bound}
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import) else ():
            top = alias.name.partition(".")[0]
            name, target = alias.asname or top, alias.name if alias.asname else top
            if bound.get(name) == 1 and offered(alias.name) and offered(target):
                found[name] = module_of(target)
    return found


def _bound(table: symtable.SymbolTable) -> dict[str, int]:
    """Return how many scopes of the script bind each name; one that is also assigned counts as two."""
    counts: dict[str, int] = {}
    tables = [table]
    while tables:
        one = tables.pop()
        tables.extend(one.get_children())
        for symbol in one.get_symbols():
            plain = symbol.is_assigned() or symbol.is_parameter() or symbol.is_namespace()
            if plain or symbol.is_imported():
                name = symbol.get_name()
                counts[name] = counts.get(name, 0) + (1 if symbol.is_imported() and not plain else 2)
    return counts


def _module(node: ast.expr, modules: dict[str, Any]) -> Any:
    """Return the module that an expression certainly is; None if it is not certain."""
    if isinstance(node, ast.Name):
        return modules.get(node.id)
    if isinstance(node, ast.Attribute):
        outer = _module(node.value, modules)
        if outer is not None and has(outer, node.attr) and isinstance(inner := getattr(outer, node.attr), ModuleType):
            return inner
    return None
