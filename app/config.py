"""The settings: one table of names, types, defaults and help, read from the environment and a YAML file.

The table is written as dataclasses, one per section, so that code reads ``config.server.port`` and mypy knows its type.
Order: environment (``THETALOOP_<SECTION>_<NAME>``), then the file, then the default. ``config.example.yml`` lists
the same table; a test holds the two together.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from app.errors import ConfigurationError


def _setting(default: Any, help: str, choices: tuple[Any, ...] = (), minimum: float | None = None) -> Any:
    """A field of a section: its ``default``, whose type its values have, a line of ``help``, and which are allowed."""
    about = {"default": default, "help": help, "choices": choices, "minimum": minimum}
    return field(default_factory=lambda: copy.copy(default), metadata=about)


@dataclass(frozen=True)
class ServerSettings:
    """``server.*``"""

    port: int = _setting(8080, "TCP port; 0 picks a free one", minimum=0)
    address: str = _setting("127.0.0.1", "address to listen on")
    processes: int = _setting(1, "HTTP processes in front of one engine process; 1 runs all in one", minimum=1)
    drain_seconds: float = _setting(0.0, "after SIGTERM, how long calls are still answered", minimum=0)
    debug: bool = _setting(False, "answers of getaction and setreward repeat context, action and reward")


@dataclass(frozen=True)
class MongoSettings:
    """``mongodb.*``"""

    uri: str = _setting("", "URI of a replica set; empty runs a private mongod in data_dir")
    database: str = _setting("thetaloop", "name of the database")
    timeout_seconds: float = _setting(15.0, "the longest a call may wait before it answers 503", minimum=1)
    min_free_mb: int = _setting(500, "free space below which a private mongod gets no more writes, in MB", minimum=0)


@dataclass(frozen=True)
class HTTPSettings:
    """``http.*``"""

    allowed_origins: list[str] = _setting([], "origins whose pages may call with the sign-in cookie")
    cookie_secret: str = _setting("", "signs the cookie; generated if empty, required with mongodb.uri")
    dialects: list[str] = _setting(["streamingbandit"], "the APIs to serve")
    xheaders: bool = _setting(False, "trust X-Real-Ip and X-Forwarded-Proto of a proxy in front")
    max_body_mb: int = _setting(8, "largest body of a batch, an experiment or a trial, in MiB", minimum=1)
    max_connections: int = _setting(10_000, "connections at once in this process", minimum=16)
    unread_mb: int = _setting(64, "what bodies that are not here whole may hold in this process, in MiB", minimum=1)
    body_seconds: float = _setting(30.0, "the longest a request's body may take to arrive", minimum=0.1)
    idle_seconds: float = _setting(75.0, "the longest a connection may take to send a request's headers", minimum=0.1)


@dataclass(frozen=True)
class AccountSettings:
    """``accounts.*``"""

    registration: str = _setting("closed", "who adds researchers: closed (admins) or open", ("closed", "open"))


@dataclass(frozen=True)
class EngineSettings:
    """``engine.*``"""

    queue_calls: int = _setting(10_000, "calls that may wait in this process before it answers 503", minimum=1)
    queue_calls_per_experiment: int = _setting(4_000, "the same bound for one experiment", minimum=1)
    queue_mb: int = _setting(64, "what waiting calls may hold in this process, in MiB", minimum=1)
    batch_calls: int = _setting(256, "most calls worked on at once in one experiment", minimum=1)


@dataclass(frozen=True)
class ThetaSettings:
    """``theta.*``"""

    range_max: int = _setting(10_000, "most thetas that one get_theta may return", minimum=1)
    cache_mb: int = _setting(256, "theta that this process keeps in memory, in MiB", minimum=1)


@dataclass(frozen=True)
class JobSettings:
    """``jobs.*``"""

    snapshot_minutes: float = _setting(60.0, "how often theta is snapshotted, by the clock", minimum=0.01)
    timeout_check_seconds: float = _setting(10.0, "how often advices that timed out are looked for", minimum=0.1)
    fold_seconds: float = _setting(60.0, "how often the counts of actions are brought up to date", minimum=0.1)
    purge_seconds: float = _setting(10.0, "how often deleted experiments are looked for", minimum=0.1)
    purge_after_seconds: float = _setting(60.0, "how long after a delete or reset rows are moved", minimum=0.0)


@dataclass(frozen=True)
class FileSettings:
    """``files.*``"""

    keep_hours: float = _setting(24.0, "how long an exported file is kept", minimum=0.001)


@dataclass(frozen=True)
class SandboxSettings:
    """``sandbox.*``"""

    call_seconds: float = _setting(0.5, "the longest one script may run", minimum=0.01)
    memory_mb: int = _setting(512, "address space of a worker process, in MiB", minimum=256)
    max_workers: int = _setting(32, "worker processes at most", minimum=1)
    single_use: bool = _setting(False, "run every call in a fresh process; a policy then keeps nothing of its own")
    unsafe: bool = _setting(False, "run scripts without confinement, where none is possible; loopback addresses only")


@dataclass(frozen=True)
class SimulationSettings:
    """``simulation.*``"""

    max_workers: int = _setting(2, "simulations run at once, each in a process of its own", minimum=1)
    dask_scheduler: str = _setting("", "address of a Dask scheduler whose workers run repetitions; or none")


@dataclass(frozen=True)
class Config:
    """The settings in force, by section; ``data_dir`` is absolute.

    >>> Config.of({"server.port": 9000}).server.port
    9000
    """

    data_dir: Path = _setting("./data", "folder for the embedded MongoDB, generated secrets and the demo's password")
    server: ServerSettings = field(default_factory=ServerSettings)
    mongodb: MongoSettings = field(default_factory=MongoSettings)
    http: HTTPSettings = field(default_factory=HTTPSettings)
    accounts: AccountSettings = field(default_factory=AccountSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    theta: ThetaSettings = field(default_factory=ThetaSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    files: FileSettings = field(default_factory=FileSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    simulation: SimulationSettings = field(default_factory=SimulationSettings)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser().resolve())

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Config:
        """The defaults but for these ``values`` by dotted name.

        Raises ``ConfigurationError``, which names the setting, if one is unknown or its value is not allowed.
        """
        sections: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            section, _, key = name.rpartition(".")
            sections.setdefault(section, {})[key] = _checked(name, value)
        alone = sections.pop("", {})
        return cls(**alone, **{section: _SECTIONS[section](**given) for section, given in sections.items()})


@dataclass(frozen=True)
class Setting:
    """One row of the table: its dotted ``name``, the ``type`` of its values, its ``default`` and a line of ``help``."""

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


def _table(kind: type[Any], prefix: str = "") -> Iterator[Setting]:
    """The settings of a section, or of all of them."""
    for one in fields(kind):
        if one.metadata:
            yield Setting(prefix + one.name, type(one.metadata["default"]), **one.metadata)
        else:
            yield from _table(_SECTIONS[one.name], f"{one.name}.")


_SECTIONS: dict[str, Any] = {one.name: one.default_factory for one in fields(Config) if not one.metadata}
SETTINGS = tuple(_table(Config))
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read the file (``path``, else ``./config.yml`` if it is there) and the environment; ``overrides`` win."""
    if path is None and Path("config.yml").is_file():
        path = Path("config.yml")
    values = _from_file(path) if path else {}
    for setting in SETTINGS:
        if setting.variable in os.environ:
            values[setting.name] = _from_text(setting, os.environ[setting.variable])
    _refuse_unknown_variables()
    return Config.of({**values, **(overrides or {})})


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
