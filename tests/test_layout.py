"""Who imports whom: the rooms and arrows that docs/architecture.rst draws, and that reviewers rely on."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "policies")
# What each room may import of this repository and, if it is listed in PURE, of other packages.
ROOMS: dict[str, set[str]] = {
    "policies": {"policies"},
    "app.errors": set(),
    "app.secrets": set(),
    "app.config": {"app.errors"},
    "app.domain": {"app.domain", "app.errors"},
    "app.observability": {"app.observability"},
    "app.analysis": {"app.analysis", "app.domain", "app.errors"},
    "app.sandbox": {"app.sandbox", "app.domain", "app.errors", "policies"},
    "app.storage": {"app.storage", "app.domain", "app.errors"},
    "app.engine": {"app.engine", "app.sandbox", "app.storage", "app.domain", "app.errors"},
    "app.ipc": {"app.ipc", "app.engine", "app.sandbox.protocol", "app.sandbox.host.pool", "app.domain", "app.errors"},
    "app.simulation": {"app.simulation", "app.sandbox", "app.domain", "app.errors"},
    "app.services": {
        "app.services",
        "app.engine.api",
        "app.engine.limits",
        "app.simulation",
        "app.analysis",
        "app.storage",
        "app.sandbox.protocol",
        "app.domain",
        "app.errors",
        "app.config",
    },
    "app.jobs": {"app.jobs", "app.engine.api", "app.storage", "app.domain", "app.errors"},
    "app.http": {"app.http", "app.services", "app.domain", "app.errors"},
    "app.dialects": {"app.dialects", "app.http", "app.services", "app.domain", "app.errors"},
    # The library is there for the editor, which completes its names; pages compute nothing with it.
    "app.dashboard": {"app.dashboard", "app.http", "app.services", "app.domain", "app.errors", "policies"},
    "app.ops": {"app.ops", "app.http", "app.services", "app.domain", "app.errors"},
}
# Rooms that may import these packages and the standard library, and nothing else from outside.
PURE: dict[str, set[str]] = {
    "policies": {"numpy", "scipy.special"},
    "app.errors": set(),
    "app.secrets": set(),
    "app.domain": set(),
    "app.observability": {"structlog"},
    "app.analysis": {"numpy", "scipy"},
    "app.sandbox": {"numpy", "scipy", "msgspec"},
    "app.engine": {"msgspec"},
    "app.ipc": {"msgspec"},
    "app.simulation": {"msgspec", "numpy", "distributed"},
    "app.storage": {"pymongo", "bson", "gridfs", "motor"},
}
# They may import anything: the composition root and the command line, which stands above it.
ROOT_ROOMS = ("app.server", "app.cli", "app.__main__")


def modules() -> Iterator[tuple[str, Path]]:
    """Every module's dotted name and file."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, inside functions as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                # `from app.cli import demo` imports a module, `from app.errors import X` a name out of one.
                is_module = inner in MODULES or node.module in ("app", "scipy")
                yield node.lineno, inner if is_module else str(node.module)


def within(name: str, prefixes: set[str]) -> bool:
    """Whether the name is one of the prefixes or below one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def room_of(module: str) -> str:
    """The room that a module stands in."""
    return ".".join(module.split(".")[:1] if module.startswith("policies") else module.split(".")[:2])


def offences(module: str, path: Path) -> Iterator[str]:
    """What a module imports against the arrows."""
    room = room_of(module)
    if room in ROOT_ROOMS or module == "app":
        return
    for line, name in imports(path):
        if name.split(".")[0] in PACKAGES:
            if not within(name, ROOMS[room] | {"app.observability"}):
                yield f"{path.relative_to(ROOT)}:{line} imports {name}, which {room} may not"
        elif name.split(".")[0] not in sys.stdlib_module_names and room in PURE and not within(name, PURE[room]):
            yield f"{path.relative_to(ROOT)}:{line} imports {name}, which {room} may not"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    assert list(offences(module, MODULES[module])) == []


def test_every_room_has_a_rule() -> None:
    rooms = {room_of(module) for module in MODULES} - {"app", *ROOT_ROOMS}
    assert rooms == set(ROOMS)


def test_storage_alone_knows_mongodb() -> None:
    knowing = {
        m for m, p in MODULES.items() for _, n in imports(p) if within(n, {"pymongo", "bson", "motor", "gridfs"})
    }
    assert knowing
    assert all(within(module, {"app.storage"}) for module in knowing)


def names_documents(path: Path) -> list[int]:
    """Lines that name MongoDB's document type or the field that every document of its has."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "Document")
        or (isinstance(node, ast.Constant) and node.value == "_id")
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "Document" for alias in node.names))
    ]


@pytest.mark.parametrize("module", [m for m in MODULES if not within(m, {"app.storage"})], ids=str)
def test_storage_alone_sees_documents(module: str) -> None:
    assert names_documents(MODULES[module]) == []


def test_documents_would_be_noticed() -> None:
    assert names_documents(MODULES["app.storage.users"])


def untranslated(path: Path) -> Iterator[str]:
    """Public methods of collection classes that read or write by themselves and do not say how outages are told."""
    for kind in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(kind, ast.ClassDef) or "Storage" not in map(ast.unparse, kind.bases):
            continue
        for method in kind.body:
            if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) or method.name.startswith("_"):
                continue
            decorators = {ast.unparse(decorator) for decorator in method.decorator_list}
            is_read = isinstance(method, ast.AsyncFunctionDef) or "AsyncIterator" in ast.unparse(
                method.returns or method
            )
            in_transaction = "session" in {argument.arg for argument in method.args.args}
            if is_read and not in_transaction and not decorators & {"translate_outages", "asynccontextmanager"}:
                yield f"{kind.name}.{method.name}"


@pytest.mark.parametrize("module", [m for m in MODULES if within(m, {"app.storage"})], ids=str)
def test_every_read_and_write_of_a_collection_translates_outages(module: str) -> None:
    assert list(untranslated(MODULES[module])) == []


def test_http_is_known_to_the_rooms_above_the_services_alone() -> None:
    knowing = {room_of(m) for m, p in MODULES.items() for _, n in imports(p) if within(n, {"tornado"})}
    assert knowing <= {"app.http", "app.dialects", "app.dashboard", "app.ops", "app.server"}


def test_apis_never_know_one_another() -> None:
    for module, path in MODULES.items():
        parts = module.split(".")
        if parts[:2] == ["app", "dialects"] and len(parts) > 2:
            others = [n for _, n in imports(path) if within(n, {"app.dialects"}) and n.split(".")[2:3] != parts[2:3]]
            assert others == [], module


def test_the_rules_can_be_broken() -> None:
    """A rule that nothing could offend against would hold for ever."""
    code = MODULES["app.server.assemble"]
    for room in ROOMS:
        assert list(offences(f"{room}.x", code)), room


def test_no_class_name_stands_twice() -> None:
    names = Counter(
        node.name
        for module, path in MODULES.items()
        if module.startswith("app")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8"))), module
