"""What ``import`` gives a script: the modules that the zygote loaded before it was confined, and nothing else.

This gives a clear message at the line of the import. It is no protection: confinement is the kernel's.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from policies import SCRIPT_NAMES

_STANDARD = (
    "__future__", "abc", "array", "base64", "bisect", "calendar", "cmath", "collections", "collections.abc",
    "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq",
    "itertools", "json", "math", "numbers", "operator", "random", "re", "statistics", "string", "struct", "textwrap",
    "time", "types", "typing", "uuid", "zlib",
)  # fmt: skip
_NUMERIC = ("numpy", "numpy.linalg", "numpy.random", "numpy.fft", "scipy", "scipy.special", "policies")
ALLOWED = frozenset({*_STANDARD, *_NUMERIC})

# Scripts written for StreamingBandit may begin with ``import libs.base as base``.
_LIBS = SimpleNamespace(**SCRIPT_NAMES, thompson_bayesian_linear=SCRIPT_NAMES["tbl"])

# What the modules above import only when they are first used, and could not import after confinement.
_HIDDEN = (
    "_strptime",
    "encodings.cp1252",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "encodings.utf_32",
)


def preload() -> None:
    """Import everything that scripts may import, and what those modules import later."""
    for name in sorted({*ALLOWED, *_HIDDEN}):
        importlib.import_module(name)
    # numpy removed this function; scripts written for StreamingBandit call it.
    vars(np).setdefault("asscalar", lambda a: np.asarray(a).item())


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    if not offered(name, level):
        raise ImportError(refusal(name))
    if name in SCRIPT_NAMES and name not in ALLOWED:
        return SCRIPT_NAMES[name]
    if name == "libs" or name.startswith("libs."):
        return module_of(name) if fromlist else _LIBS
    return _real_import(name, globals, locals, fromlist or (), 0)


def module_of(name: str) -> Any:
    """Return the module that an import of this name gives; ``name`` must be ``offered``."""
    if name in SCRIPT_NAMES and name not in ALLOWED:
        return SCRIPT_NAMES[name]
    if name == "libs" or name.startswith("libs."):
        return _LIBS if name == "libs" else getattr(_LIBS, name.removeprefix("libs."))
    return sys.modules[name]


def has(module: Any, name: str) -> bool:
    """Return whether a script finds ``name`` in the module.

    Asking is the only way to know: scipy and numpy import some submodules when they are first used, which fails here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            getattr(module, name)
        except Exception:
            return f"{module.__name__}.{name}" in ALLOWED if isinstance(module, ModuleType) else False
    return True


def offered(name: str, level: int = 0) -> bool:
    """Return whether a script may import this module; ``level`` counts the dots of a relative import."""
    ours = name in SCRIPT_NAMES or (name.startswith("policies.") and name in sys.modules)
    theirs = name == "libs" or (name.startswith("libs.") and name.removeprefix("libs.") in vars(_LIBS))
    return level == 0 and (name in ALLOWED or ours or theirs)


def refusal(name: str) -> str:
    """Return the message for a module that a script may not import."""
    return f"scripts cannot import {name!r}: numpy, scipy.special, policies and pure standard modules only"


_real_import = builtins.__import__
SCRIPT_BUILTINS = {
    name: value
    for name, value in vars(builtins).items()
    if name not in ("open", "input", "breakpoint", "help", "exit", "quit")
} | {"__import__": _import}
