"""Which APIs a server has: those that the setting ``http.dialects`` names, beside operations and pages."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence

from app.dashboard.routes import ROUTES as PAGES
from app.errors import ConfigurationError
from app.http.dialect import Dialect
from app.http.files import ROUTES as FILES
from app.http.router import routes_of
from app.ops.health import ROUTES as HEALTH

_SETTING = "http.dialects"
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
OPERATIONS = Dialect("ops", HEALTH)
_BUILT_IN = (OPERATIONS, Dialect("files", FILES), Dialect("dashboard", PAGES))


def served_dialects(names: Sequence[object]) -> list[Dialect]:
    """Return operations, files, pages and the APIs that are named.

    A name is that of a folder in ``app/dialects``, or the dotted name of a module anywhere on Python's path that has a
    ``DIALECT``. Raises ``ConfigurationError`` for a name that is none, and for APIs that cannot stand side by side.
    """
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{_SETTING}: {name!r} is named twice")
    dialects = [*_BUILT_IN, *(found_dialect(name) for name in names)]
    _require_apart(dialects)
    return dialects


def found_dialect(name: object) -> Dialect:
    """Return the API of a name; raise ``ConfigurationError`` if there is none. What fails within its code is raised."""
    if not isinstance(name, str) or not _MODULE.fullmatch(name):
        raise ConfigurationError(f"{_SETTING}: expected names of APIs or of modules, got {name!r}")
    module_name = name if "." in name else f"app.dialects.{name}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the API is there, and lacks a module that it imports
        raise ConfigurationError(f"{_SETTING}: there is no API {name!r} (no module {error.name})") from error
    dialect = getattr(module, "DIALECT", None)
    if not isinstance(dialect, Dialect):
        raise ConfigurationError(f"{_SETTING}: the module {module_name} has no DIALECT")
    return dialect


def _require_apart(dialects: Sequence[Dialect]) -> None:
    """Raise ``ConfigurationError`` if two APIs have one name, one prefix or one path, or if one hides another's."""
    routes = [(route.label.lower(), route.dialect) for route in routes_of(dialects) if route.label]
    _require_single("name", [(dialect.name, dialect) for dialect in dialects])
    _require_single("prefix", [(dialect.prefix, dialect) for dialect in dialects if dialect.prefix])
    _require_single("path", routes)
    for dialect in dialects:
        for label, other in routes:
            # A longer prefix is looked at first, and takes all that is below it.
            if len(other.prefix) < len(dialect.prefix) and f"{label}/".startswith(f"{dialect.prefix.lower()}/"):
                raise ConfigurationError(
                    f"{_SETTING}: the prefix {dialect.prefix!r} of {dialect.name} would hide {label!r} of {other.name}"
                )


def _require_single(kind: str, taken: Iterable[tuple[str, Dialect]]) -> None:
    owners: dict[str, Dialect] = {}
    for value, dialect in taken:
        other = owners.setdefault(value, dialect)
        if other is not dialect:
            raise ConfigurationError(f"{_SETTING}: {dialect.name} and {other.name} both have the {kind} {value!r}")
