"""Which APIs stand side by side, and in what order their routes are tried."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.dialects.streamingbandit import DIALECT
from app.errors import ConfigurationError
from app.http.base import JsonHandler, NotFoundHandler
from app.http.dialect import Dialect
from app.http.router import Route, label_of, routes_of
from app.server.dialects import served_dialects


class Nothing(JsonHandler):
    """A handler."""


def write_api(folder: Path, name: str, body: str) -> None:
    (folder / f"{name}.py").write_text(
        f"from app.http.base import JsonHandler\nfrom app.http.dialect import Dialect\n{body}\n"
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on Python's path, in which the packages ``apis`` has modules."""
    package = tmp_path / "apis"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "apis", raising=False)
    for name in [name for name in sys.modules if name.startswith("apis.")]:
        monkeypatch.delitem(sys.modules, name)
    return package


def test_an_api_is_named_by_its_folder_or_by_a_module_anywhere(folder: Path) -> None:
    write_api(folder, "one", "DIALECT = Dialect('one', [('/x', JsonHandler)], prefix='/one')")
    names = [dialect.name for dialect in served_dialects(["streamingbandit", "apis.one"])]
    assert names == ["ops", "files", "dashboard", "streamingbandit", "one"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bandits", "there is no API 'bandits' (no module app.dialects.bandits)"),
        ("apis.two", "there is no API 'apis.two' (no module apis.two)"),
        ("nowhere.at.all", "there is no API 'nowhere.at.all' (no module nowhere)"),
        ("apis.empty", "the module apis.empty has no DIALECT"),
        ("../apis", "expected names of APIs or of modules, got '../apis'"),
        ("apis..one", "expected names of APIs or of modules, got 'apis..one'"),
        ("", "expected names of APIs or of modules, got ''"),
        (7, "expected names of APIs or of modules, got 7"),
    ],
)
def test_a_name_that_is_none_is_told(folder: Path, name: object, message: str) -> None:
    write_api(folder, "empty", "")
    with pytest.raises(ConfigurationError) as refused:
        served_dialects([name])
    assert refused.value.message == f"http.dialects: {message}"


def test_an_api_that_lacks_a_module_fails_as_its_own_fault(folder: Path) -> None:
    write_api(folder, "broken", "import apis.missing_part")
    with pytest.raises(ModuleNotFoundError, match="missing_part"):
        served_dialects(["apis.broken"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("Dialect('streamingbandit', [])", "streamingbandit and streamingbandit both have the name 'streamingbandit'"),
        ("Dialect('own', [('/(?i:Exp)', JsonHandler)])", "own and streamingbandit both have the path '/exp'"),
        ("Dialect('own', [('/health', JsonHandler)])", "own and ops both have the path '/health'"),
        ("Dialect('own', [], prefix='/ui')", "the prefix '/ui' of own would hide '/ui/assets/*/*' of dashboard"),
        ("Dialect('own', [], prefix='/stats')", "the prefix '/stats' of own would hide '/stats/*/currenttheta'"),
    ],
)  # fmt: skip
def test_apis_that_cannot_stand_side_by_side_are_refused(folder: Path, body: str, message: str) -> None:
    write_api(folder, "own", f"DIALECT = {body}")
    with pytest.raises(ConfigurationError) as refused:
        served_dialects(["streamingbandit", "apis.own"])
    assert message in refused.value.message


def test_two_apis_cannot_have_one_prefix(folder: Path) -> None:
    write_api(folder, "a", "DIALECT = Dialect('a', [], prefix='/api')")
    write_api(folder, "b", "DIALECT = Dialect('b', [], prefix='/api')")
    with pytest.raises(ConfigurationError, match="b and a both have the prefix '/api'"):
        served_dialects(["apis.a", "apis.b"])


def test_the_same_api_twice_is_one_too_many() -> None:
    with pytest.raises(ConfigurationError, match="'streamingbandit' is named twice"):
        served_dialects(["streamingbandit", "streamingbandit"])


def test_longer_prefixes_are_tried_first_and_refuse_what_they_lack() -> None:
    short = Dialect("short", [("/x", Nothing)], prefix="/api")
    long = Dialect("long", [("/x", Nothing), ("/y/([0-9]+)", Nothing)], prefix="/api/v1")
    plain = Dialect("plain", [("/x", Nothing)])
    routes = routes_of([plain, short, long])
    assert [(route.dialect.name, route.label) for route in routes] == [
        ("long", "/api/v1/x"),
        ("long", "/api/v1/y/*"),
        ("long", ""),
        ("short", "/api/x"),
        ("short", ""),
        ("plain", "/x"),
    ]
    rest: Route = routes[2]
    assert rest.handler is NotFoundHandler


@pytest.mark.parametrize("prefix", ["api", "/api/", "/", "/a b", "/(x)"])
def test_a_prefix_is_a_path(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix: expected a path"):
        Dialect("x", [], prefix=prefix)


def test_the_labels_of_the_first_api_name_its_calls() -> None:
    labels = {label_of(pattern) for pattern, _ in DIALECT.routes}
    assert {"/getaction/*", "/setreward/*/batch", "/exp/*/revisions/*/restore", "/users/*"} <= labels
    assert len(labels) == len(DIALECT.routes)
    assert all(set(label) <= set("/abcdefghijklmnopqrstuvwxyz*") for label in labels)
