"""The library of policies as the editor completes it: names, signatures and documentation, read from the code."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from policies import SCRIPT_NAMES


def library() -> dict[str, Any]:
    """Modules by the names that scripts know, each with its documentation and its members.

    A member has ``kind`` (``Class`` or ``Function``), ``signature``, ``required`` (the parameters without a default),
    ``doc`` and, if it is a class, ``methods``.

    >>> library()["greedy"]["members"]["EpsilonGreedy"]["required"]
    ['theta', 'arms']
    """
    return {name: _module(module) for name, module in SCRIPT_NAMES.items() if isinstance(module, ModuleType)}


def _module(module: ModuleType) -> dict[str, Any]:
    own = {
        name: member
        for name, member in vars(module).items()
        if getattr(member, "__module__", None) == module.__name__ and not name.startswith("_") and callable(member)
    }
    return {"doc": _doc(module), "members": {name: _member(member) for name, member in own.items() if _doc(member)}}


def _member(member: Any) -> dict[str, Any]:
    about = _callable(member, "Class" if inspect.isclass(member) else "Function")
    if inspect.isclass(member):
        methods = inspect.getmembers(member, inspect.isfunction)
        about["methods"] = {
            name: _callable(method, "Method") for name, method in methods if not name.startswith("_") and _doc(method)
        }
    return about


def _callable(function: Any, kind: str) -> dict[str, Any]:
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in parameters]
    named = [one for one in bare if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    return {
        "kind": kind,
        "signature": f"({', '.join(map(str, bare))})",
        "required": [one.name for one in named if one.default is inspect.Parameter.empty],
        "doc": _doc(function),
    }


def _doc(documented: Any) -> str:
    """The docstring without its examples and references, which a small box has no room for."""
    text = inspect.getdoc(documented) or ""
    for heading in ("Examples", "References"):
        text = text.split(f"\n{heading}\n---")[0]
    return text.strip()
