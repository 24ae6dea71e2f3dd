"""The settings: one table of names, types, defaults and help, read from the environment and a YAML file.

Order: environment (``THETALOOP_<SECTION>_<NAME>``), then the file, then the default. ``config.example.yml`` lists
the same table; a test holds the two together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.errors import ConfigurationError


@dataclass(frozen=True)
class Setting:
    """One setting: its dotted ``name``, the ``type`` its value must have, its ``default`` and a line of ``help``."""

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[Any, ...] = ()
    minimum: float | None = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "THETALOOP_" + self.name.upper().replace(".", "_")


SETTINGS = (
    Setting("data_dir", str, "./data", "folder for the embedded MongoDB, generated secrets and the demo's password"),
    Setting("server.port", int, 8080, "TCP port; 0 picks a free one", minimum=0),
    Setting("server.address", str, "127.0.0.1", "address to listen on"),
    Setting("server.processes", int, 1, "HTTP processes in front of one engine process; 1 runs all in one", minimum=1),
    Setting("server.debug", bool, False, "answers of getaction and setreward repeat context, action and reward"),
    Setting("mongodb.uri", str, "", "URI of a replica set; empty runs a private mongod in data_dir"),
    Setting("mongodb.database", str, "thetaloop", "name of the database"),
    Setting("mongodb.timeout_seconds", float, 15.0, "the longest a call may wait before it answers 503", minimum=1),
    Setting("http.allowed_origins", list, [], "origins whose pages may call with the sign-in cookie"),
    Setting("http.cookie_secret", str, "", "signs the cookie; generated if empty, required with mongodb.uri"),
    Setting("http.dialects", list, ["streamingbandit"], "the APIs to serve"),
    Setting("http.xheaders", bool, False, "trust X-Real-Ip and X-Forwarded-Proto of a proxy in front"),
    Setting("http.max_body_mb", int, 8, "largest request body, in MiB", minimum=1),
    Setting(
        "accounts.registration", str, "closed", "who adds researchers: closed (admins) or open", ("closed", "open")
    ),
    Setting("engine.queue_calls", int, 10_000, "calls that may wait in this process before it answers 503", minimum=1),
    Setting("engine.queue_calls_per_experiment", int, 4_000, "the same bound for one experiment", minimum=1),
    Setting("engine.queue_mb", int, 64, "what waiting calls may hold in this process, in MiB", minimum=1),
    Setting("engine.batch_calls", int, 256, "most calls worked on at once in one experiment", minimum=1),
    Setting("theta.range_max", int, 10_000, "most thetas that one get_theta may return", minimum=1),
    Setting("theta.cache_mb", int, 256, "theta that this process keeps in memory, in MiB", minimum=1),
    Setting("jobs.snapshot_minutes", float, 60.0, "how often theta is snapshotted, by the clock", minimum=0.01),
    Setting("jobs.timeout_check_seconds", float, 10.0, "how often advices that timed out are looked for", minimum=0.1),
    Setting("jobs.fold_seconds", float, 60.0, "how often the counts of actions are brought up to date", minimum=0.1),
    Setting("jobs.purge_seconds", float, 10.0, "how often deleted experiments are looked for", minimum=0.1),
    Setting("jobs.purge_after_seconds", float, 60.0, "how long after a delete or reset rows are moved", minimum=0.0),
    Setting("sandbox.call_seconds", float, 0.5, "the longest one script may run", minimum=0.01),
    Setting("sandbox.memory_mb", int, 512, "address space of a worker process, in MiB", minimum=256),
    Setting("sandbox.max_workers", int, 32, "worker processes at most", minimum=1),
    Setting(
        "sandbox.single_use", bool, False, "run every call in a fresh process; a policy then keeps nothing of its own"
    ),
    Setting(
        "sandbox.unsafe",
        bool,
        False,
        "run scripts without confinement, where none is possible; loopback addresses only",
    ),
    Setting("simulation.max_workers", int, 2, "simulations run at once, each in a process of its own", minimum=1),
    Setting("simulation.dask_scheduler", str, "", "address of a Dask scheduler whose workers run repetitions; or none"),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


class Config:
    """The settings in force, read with ``config["server.port"]``.

    >>> Config({"server.port": 9000})["server.port"]
    9000
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = {setting.name: setting.default for setting in SETTINGS}
        for name, value in (values or {}).items():
            self._values[name] = _checked(name, value)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    @property
    def data_dir(self) -> Path:
        """The data folder, absolute."""
        return Path(self["data_dir"]).expanduser().resolve()


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read the file (``path``, else ``./config.yml`` if it is there) and the environment; ``overrides`` win."""
    if path is None and Path("config.yml").is_file():
        path = Path("config.yml")
    values = _from_file(path) if path else {}
    for setting in SETTINGS:
        if setting.variable in os.environ:
            values[setting.name] = _from_text(setting, os.environ[setting.variable])
    _refuse_unknown_variables()
    return Config({**values, **(overrides or {})})


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"the configuration file {path} must hold sections with settings")
    return _flat(content)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Sections of the file as dotted names; the values stay as they are."""
    values: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            values |= _flat(value, f"{name}.")
        elif value is not None or name in _BY_NAME:
            values[name] = value
    return values


def _from_text(setting: Setting, text: str) -> Any:
    if setting.type is str:
        return text
    if setting.type is list and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _refuse_unknown_variables() -> None:
    known = {setting.variable for setting in SETTINGS}
    for variable in os.environ:
        if variable.startswith("THETALOOP_") and variable not in known:
            raise ConfigurationError(f"the environment variable {variable} names no setting")


def _checked(name: str, value: Any) -> Any:
    """The value, if it is what the setting takes; whole numbers may stand where numbers are expected."""
    if name not in _BY_NAME:
        raise ConfigurationError(f"there is no setting {name!r}; config.example.yml lists them all")
    setting = _BY_NAME[name]
    if setting.type is float and type(value) is int:
        value = float(value)
    checked: Any = value
    if type(value) is not setting.type:
        raise ConfigurationError(f"{name}: expected {_EXPECTED[setting.type]}, got {value!r}")
    if setting.choices and value not in setting.choices:
        raise ConfigurationError(f"{name}: expected one of {', '.join(map(repr, setting.choices))}, got {value!r}")
    if setting.minimum is not None and not checked >= setting.minimum:
        raise ConfigurationError(f"{name}: expected at least {setting.minimum:g}, got {value!r}")
    return value


_EXPECTED = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list"}
