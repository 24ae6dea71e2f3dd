"""Settings: config.example.yml tells the truth, the order of sources holds, and what is unknown is refused."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import pytest
import yaml

from app.config import SETTINGS, Config, Setting, load
from app.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[3] / "config.example.yml"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.chdir(tmp_path)


def written(path: Path, content: str) -> Path:
    """A file with that content."""
    path.write_text(content, encoding="utf-8")
    return path


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as dotted names."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def test_the_example_lists_every_setting_with_its_default_in_the_order_of_the_table() -> None:
    example = flat(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    assert list(example) == [setting.name for setting in SETTINGS]
    assert example == {setting.name: setting.default for setting in SETTINGS}
    assert {name: type(value) for name, value in example.items()} == {each.name: each.type for each in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_example_explains_each_setting_in_the_line_above_it(setting: Setting) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    section, _, key = setting.name.rpartition(".")
    start = lines.index(f"{section}:") if section else 0
    indent = "  " if section else ""
    at = next(number for number in range(start, len(lines)) if lines[number].startswith(f"{indent}{key}:"))
    assert lines[at - 1] == f"{indent}# {setting.help}"


def test_the_example_is_a_configuration_that_changes_nothing() -> None:
    assert load(EXAMPLE) == Config()


def test_every_setting_has_a_line_of_help_and_a_default_that_it_would_take() -> None:
    for setting in SETTINGS:
        assert setting.help
        assert "\n" not in setting.help
        assert Config.of({setting.name: setting.default}) == Config()


def test_every_value_has_the_type_that_its_field_promises() -> None:
    for section in fields(Config):
        if not section.metadata:
            kind = type(getattr(Config(), section.name))
            promised = {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
            assert promised == {one.name: type(getattr(kind(), one.name)) for one in fields(kind)}


def test_settings_cannot_be_changed_and_two_servers_share_no_list() -> None:
    config = Config()
    with pytest.raises(FrozenInstanceError):
        config.server.port = 1  # type: ignore[misc]
    config.http.dialects.append("another")
    assert Config().http.dialects == ["streamingbandit"]


def test_the_data_folder_is_absolute(tmp_path: Path) -> None:
    assert Config().data_dir == tmp_path / "data"
    assert Config.of({"data_dir": "~/here"}).data_dir == Path.home() / "here"


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = written(tmp_path / "some.yml", "server:\n  port: 9001\n  address: 0.0.0.0\n")
    assert load(file).server.port == 9001
    monkeypatch.setenv("THETALOOP_SERVER_PORT", "9002")
    config = load(file)
    assert (config.server.port, config.server.address, config.server.debug) == (9002, "0.0.0.0", False)
    assert load(file, {"server.port": 9003}).server.port == 9003


def test_config_yml_in_the_present_folder_is_read_if_no_file_is_named(tmp_path: Path) -> None:
    written(tmp_path / "config.yml", "server: {port: 9001}\n")
    assert load().server.port == 9001
    other = written(tmp_path / "other.yml", "server: {debug: true}\n")
    assert load(other).server.port == 8080


@pytest.mark.parametrize("content", ["", "# nothing but a comment\n", "server:\n", "server: {}\n"])
def test_a_file_may_be_empty(tmp_path: Path, content: str) -> None:
    assert load(written(tmp_path / "some.yml", content)).server.port == 8080


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("server:\n  prot: 1\n", "server.prot"),
        ("severs:\n  port: 1\n", "severs.port"),
        ("port: 1\n", "'port'"),
        ("server:\n  port: many\n", "server.port: expected a whole number, got 'many'"),
        ("server:\n  port: 1.5\n", "server.port: expected a whole number"),
        ("server:\n  port: true\n", "server.port: expected a whole number"),
        ("server:\n  port: -1\n", "server.port: expected at least 0"),
        ("server:\n  port:\n", "server.port"),
        ("server:\n  debug: perhaps\n", "server.debug: expected true or false"),
        ("server:\n  address: 12\n", "server.address: expected text"),
        ("sandbox:\n  call_seconds: .nan\n", "sandbox.call_seconds"),
        ("sandbox:\n  call_seconds: 0\n", "sandbox.call_seconds: expected at least"),
        ("accounts:\n  registration: ajar\n", "accounts.registration: expected one of 'closed', 'open'"),
        ("http:\n  allowed_origins: https://a.example\n", "http.allowed_origins: expected a list"),
        ("server: [1, 2]\n", "'server'"),
        ("- 1\n", "must hold sections"),
        ("text\n", "must hold sections"),
        ("server: {port: 1\n", "is not YAML"),
        ("a: !!python/object/apply:os.system [true]\n", "is not YAML"),
        ("1: 2\n", "'1'"),
    ],
)
def test_what_a_file_has_wrong_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(written(tmp_path / "some.yml", content))
    assert complaint in raised.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.yml", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            load(missing)
    (tmp_path / "latin.yml").write_bytes(b"a: \xff\n")
    with pytest.raises(ConfigurationError, match="is not YAML"):
        load(tmp_path / "latin.yml")


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("THETALOOP_SERVER_DEBUG", "true", "server.debug", True),
        ("THETALOOP_HTTP_ALLOWED_ORIGINS", "https://a.example, https://b.example", "http.allowed_origins", None),
        ("THETALOOP_HTTP_ALLOWED_ORIGINS", '["https://a.example", "https://b.example"]', "http.allowed_origins", None),
        ("THETALOOP_MONGODB_TIMEOUT_SECONDS", "3", "mongodb.timeout_seconds", 3.0),
        ("THETALOOP_MONGODB_DATABASE", "123", "mongodb.database", "123"),
        ("THETALOOP_HTTP_COOKIE_SECRET", "[not a list", "http.cookie_secret", "[not a list"),
    ],
)
def test_the_environment_gives_values_of_every_type(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    section, _, key = name.partition(".")
    assert getattr(getattr(load(), section), key) == (
        ["https://a.example", "https://b.example"] if value is None else value
    )


@pytest.mark.parametrize("variable", ["THETALOOP_SERVER_PROT", "THETALOOP_PORT", "THETALOOP_"])
def test_an_environment_variable_that_names_no_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigurationError, match=variable):
        load()


@pytest.mark.parametrize(("variable", "text"), [("SERVER_PORT", "many"), ("SERVER_PORT", ""), ("SERVER_DEBUG", "7")])
def test_an_environment_variable_of_the_wrong_type_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(f"THETALOOP_{variable}", text)
    with pytest.raises(ConfigurationError, match=r"server\."):
        load()


def test_the_names_that_others_rely_on_keep_their_defaults() -> None:
    relied_on = {
        "server.port": 8080,
        "server.address": "127.0.0.1",
        "server.debug": False,
        "data_dir": "./data",
        "mongodb.uri": "",
        "mongodb.database": "thetaloop",
        "mongodb.timeout_seconds": 15,
        "http.allowed_origins": [],
        "http.xheaders": False,
        "accounts.registration": "closed",
        "sandbox.call_seconds": 0.5,
        "sandbox.memory_mb": 512,
        "sandbox.max_workers": 32,
    }
    assert {setting.name: setting.default for setting in SETTINGS if setting.name in relied_on} == relied_on
