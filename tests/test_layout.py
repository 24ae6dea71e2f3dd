"""Who imports whom: the layers that docs and reviewers rely on."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "policies")
# What each part may import beside the standard library, by the dotted prefixes that match most closely.
MAY: dict[str, set[str]] = {
    "policies": {"numpy", "scipy.special", "policies"},
    "app.errors": set(),
    "app.secrets": set(),
    "app.domain": {"app.domain"},
    "app.config": {"yaml", "app.errors"},
    "app.storage": {"pymongo", "bson", "app.storage", "app.domain", "app.errors"},
    "app.sandbox": {"numpy", "scipy", "msgspec", "policies", "app.sandbox", "app.domain", "app.errors"},
    "app.engine.cluster": {"distributed", "msgspec", "numpy", "app.engine", "app.sandbox", "app.errors"},
    "app.engine.summary": {"scipy.special", "app.sandbox"},
    "app.engine": {"msgspec", "app.engine", "app.sandbox", "app.storage", "app.domain", "app.errors"},
}
# What each part must not import, whatever else it does.
MUST_NOT: dict[str, set[str]] = {
    "app": {"pymongo", "bson", "app.__main__"},
    "app.storage": {"app.__main__"},
    "app.domain": {"tornado"},
    "app.engine": {"tornado", "app.http", "http"},
    "app.services": {"tornado", "app.http", "http", "app.dialects", "app.dashboard", "app.ops"},
    "app.jobs": {"tornado", "app.http", "http", "app.dialects", "app.dashboard", "app.ops"},
    "app.sandbox": {"app.storage", "app.engine", "app.services", "app.http", "tornado", "pymongo"},
    "app.http": {"app.dialects", "app.dashboard", "app.ops", "app.storage"},
    "app.dialects": {"app.dashboard", "app.ops", "app.storage", "app.sandbox"},
    "app.dashboard": {"app.dialects", "app.ops", "app.storage", "app.sandbox"},
    "app.ops": {"app.dialects", "app.dashboard", "app.storage", "app.sandbox"},
}
# The composition root and what stands above it.
ABOVE = ("app.server", "app.fleet", "app.__main__")


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
                # `from app import demo` imports a module, `from app.errors import X` a name out of one.
                is_module = inner in MODULES or node.module in ("app", "scipy")
                yield node.lineno, inner if is_module else str(node.module)


def within(name: str, prefixes: set[str]) -> bool:
    """Whether the name is one of the prefixes or below one."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def rule_for(module: str, rules: dict[str, set[str]]) -> set[str] | None:
    """The rule of the closest package."""
    matching = [part for part in rules if within(module, {part})]
    return rules[max(matching, key=len)] if matching else None


def offences(module: str, path: Path) -> Iterator[str]:
    """What a module imports against the rules."""
    may, must_not = rule_for(module, MAY), rule_for(module, MUST_NOT) or set()
    for line, name in imports(path):
        own = name.split(".")[0] in PACKAGES
        if may is not None and (own or name.split(".")[0] not in sys.stdlib_module_names) and not within(name, may):
            yield f"{path.relative_to(ROOT)}:{line} imports {name}, which {module} may not"
        if within(name, must_not):
            yield f"{path.relative_to(ROOT)}:{line} imports {name}, which {module} must not"
        if within(name, {"app.server"}) and module not in ABOVE:
            yield f"{path.relative_to(ROOT)}:{line} imports the composition root"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    assert list(offences(module, MODULES[module])) == []


def test_storage_alone_knows_mongodb() -> None:
    knowing = {m for m, p in MODULES.items() for _, n in imports(p) if within(n, {"pymongo", "bson"})}
    assert knowing
    assert all(within(module, {"app.storage"}) for module in knowing)


def test_apis_never_know_one_another() -> None:
    for module, path in MODULES.items():
        parts = module.split(".")
        if parts[:2] == ["app", "dialects"] and len(parts) > 2:
            others = [n for _, n in imports(path) if within(n, {"app.dialects"}) and n.split(".")[2:3] != parts[2:3]]
            assert others == [], module


def test_only_the_composition_root_knows_the_apis_and_the_jobs() -> None:
    for part in ("app.dialects", "app.dashboard", "app.ops", "app.jobs"):
        knowing = {m for m, p in MODULES.items() for _, n in imports(p) if within(n, {part}) and not within(m, {part})}
        assert knowing <= {*ABOVE, "app.services.services"}, part


def test_the_rules_can_be_broken() -> None:
    """A rule that nothing could offend against would hold for ever."""
    code = ROOT / "app" / "server.py"
    for module in ("policies.x", "app.domain.x", "app.engine.x", "app.services.x", "app.sandbox.x", "app.dialects.a.x"):
        assert list(offences(module, code)), module


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8"))), module
