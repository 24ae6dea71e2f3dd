"""Scripts as functions, for those that are run by the million.

A script is a module's body: each run needs a namespace of its own, and every name in it is looked up there. Where it
makes no difference to what the script does, its statements become the body of a function with the parameter ``self``,
which has neither cost. It does make a difference where the script inspects its namespace or shares it with a class or
function, where it assigns a name that it also finds there, and where it sets an attribute of ``self`` that the next
script must not see. Such scripts are run as they are.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Collection
from types import CodeType

_FIELDS = ("context", "action", "reward")
_METHODS = ("get_theta", "set_theta", "delete_theta", "log_data", "debug", "exp_id")
# What shows a namespace, or runs text in it.
_REVEALING = frozenset(
    ("globals", "locals", "vars", "dir", "exec", "eval", "compile", "getattr", "setattr", "delattr", "super")
)
# Statements and expressions that mean something else in a function, or may.
_OTHERWISE = (
    ast.AnnAssign, ast.AsyncFor, ast.AsyncFunctionDef, ast.AsyncWith, ast.Await, ast.ClassDef, ast.Global, ast.Nonlocal,
)  # fmt: skip


def as_function(source: str, filename: str, given: Collection[str]) -> CodeType | None:
    """The code of a function that does what the script does where it finds the names ``given``; None if none can.

    >>> as_function("self.action['arm'] = random.choice('ab')", "s", ["random"]).co_varnames
    ('self',)
    >>> [as_function(script, "s", ["random"]) for script in ("random = 1", "self.seen = 1", "print(vars())")]
    [None, None, None]
    """
    try:
        tree = ast.parse(source, filename)
        if not all(map(_means_the_same, ast.walk(tree))) or _count_self(tree) != _count_plain_self(tree):
            return None
        table = symtable.symtable(source, filename, "exec")
        own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        if own & {"self", *given}:
            return None
        code = compile(_wrapped(tree), filename, "exec", dont_inherit=True)
    except (SyntaxError, RecursionError):  # such as an import of a module's every name, or a very long sum
        return None
    return next(const for const in code.co_consts if isinstance(const, CodeType))


def _wrapped(tree: ast.Module) -> ast.Module:
    only = ast.arg("self", lineno=1, col_offset=0)
    parameters = ast.arguments(posonlyargs=[], args=[only], kwonlyargs=[], kw_defaults=[], defaults=[])
    body = tree.body or [ast.Pass(lineno=1, col_offset=0)]
    return ast.Module([ast.FunctionDef("script", parameters, body, [], lineno=1, col_offset=0)], [])


def _means_the_same(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id not in _REVEALING and not node.id.startswith("__")
    if isinstance(node, ast.Attribute):
        return not node.attr.startswith("__")
    if isinstance(node, ast.ImportFrom):
        return node.module != "__future__"
    return not isinstance(node, _OTHERWISE)


def _count_self(tree: ast.AST) -> int:
    """Return how often ``self`` is named."""
    return sum(isinstance(node, ast.Name) and node.id == "self" for node in ast.walk(tree))


def _count_plain_self(tree: ast.AST) -> int:
    """Return how often ``self`` is named for one of its fields or methods only."""
    return sum(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and (node.attr in _FIELDS or (node.attr in _METHODS and isinstance(node.ctx, ast.Load)))
        for node in ast.walk(tree)
    )
