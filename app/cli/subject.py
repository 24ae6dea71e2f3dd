"""What ``thetaloop simulate`` simulates: an experiment in a folder, or a ready-made one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from app.domain.experiment import SCRIPTS, ExperimentSpec
from app.domain.simulation import missing_script, rewards_by_arm, truth_of
from app.errors import ConfigurationError, InvalidParameter, NotFound
from app.services.catalogue import Catalogue
from app.simulation.runner import SimulatedExperiment


@dataclass(frozen=True)
class Subject:
    """What is simulated: scripts under a name, and the expected reward of each arm where it is known.

    ``others`` are the scripts of experiments that these may call, by the id that they call them by.
    """

    name: str
    scripts: dict[str, str]
    expected: dict[str, float]
    others: dict[str, dict[str, str]] = field(default_factory=dict)

    async def find(self, exp_id: str) -> SimulatedExperiment | None:
        """Return this experiment, one of the others, or a ready-made one by its name; None if there is none."""
        if exp_id == self.name:
            return SimulatedExperiment(self.scripts)
        if exp_id in self.others:
            return SimulatedExperiment(self.others[exp_id])
        with contextlib.suppress(NotFound):
            return SimulatedExperiment(Catalogue().named(exp_id).scripts)
        return None


def find(subject: str) -> Path:
    """Return the folder of that path, or of the ready-made experiment of that name; raises ``NotFound``."""
    folder = Path(subject)
    return folder if folder.is_dir() else Catalogue().named(subject).folder


def read(folder: Path, others: Mapping[str, str] | None = None) -> Subject:
    """Read the experiment in a folder, with the expected rewards of its ``experiment.yml`` if there is one.

    ``others`` are folders or names of those that its scripts call, by id.
    """
    scripts = _scripts(folder)
    missing = missing_script(ExperimentSpec(folder.name, **cast(dict[str, Any], scripts)))
    if missing:
        raise InvalidParameter(str(folder / f"{missing}.py"), "this script is empty, and a simulation needs it")
    called = {exp_id: _scripts(find(other)) for exp_id, other in (others or {}).items()}
    return Subject(folder.resolve().name, scripts, _expected(folder / "experiment.yml"), called)


def _scripts(folder: Path) -> dict[str, str]:
    scripts: dict[str, str] = {}
    for name in SCRIPTS:
        path = folder / f"{name}.py"
        try:
            scripts[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', 'not UTF-8')}") from error
    return scripts


def _expected(path: Path) -> dict[str, float]:
    """Return the expected reward by arm, where it is one number for each of a list of arms."""
    if not path.is_file():
        return {}
    try:
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    truth = truth_of(about)
    if not truth and rewards_by_arm(about):
        raise ConfigurationError(f"{path}: arms and expected_reward do not name the same arms")
    return truth
