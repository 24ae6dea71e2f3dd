"""The ready-made experiments in ``defaults/``: four scripts and an ``experiment.yml`` each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.domain.experiment import SCRIPTS, ExperimentSpec
from app.domain.simulation import truth_of
from app.errors import NotFound

_FOLDER = Path(__file__).resolve().parents[2] / "defaults"


@dataclass(frozen=True)
class Template:
    """A ready-made experiment under its pinned id; ``title`` names its algorithm.

    ``question`` is what it answers, and ``example`` an action it may take, with a reward.

    ``expected_reward`` is the truth of its simulated world by arm, where that is one number for each.
    """

    id: int
    title: str
    question: str
    summary: str
    scripts: dict[str, Any]
    options: dict[str, Any]
    references: tuple[str, ...]
    example: dict[str, dict[str, Any]]
    expected_reward: dict[str, float]
    folder: Path

    def draft(self, name: str) -> ExperimentSpec:
        """The draft of an experiment like it."""
        return ExperimentSpec(name=name, **{**self.scripts, **self.options})


class Catalogue:
    """All of them, read once.

    >>> Catalogue().find("0").title
    'AB Test'
    """

    def __init__(self, folder: Path = _FOLDER) -> None:
        found = [_read(path.parent) for path in sorted(folder.glob("*/experiment.yml"))]
        self._defaults = {default.id: default for default in sorted(found, key=lambda default: default.id)}

    def all(self) -> list[Template]:
        """All of them, by id."""
        return list(self._defaults.values())

    def find(self, id: str) -> Template:
        """One of them; ``NotFound`` otherwise."""
        if id.isdecimal() and int(id) in self._defaults:
            return self._defaults[int(id)]
        raise NotFound(f"there is no ready-made experiment {id!r}")

    def named(self, name: str) -> Template:
        """One of them by its id, its folder's name or its title; ``NotFound`` otherwise."""
        for default in self._defaults.values():
            if name.casefold() in (str(default.id), default.folder.name, default.title.casefold()):
                return default
        raise NotFound(f"there is neither a folder nor a ready-made experiment {name!r}")


def _read(folder: Path) -> Template:
    about = yaml.safe_load((folder / "experiment.yml").read_text(encoding="utf-8"))
    return Template(
        id=about["id"],
        title=about["title"],
        question=about["question"],
        summary=" ".join(about["summary"].split()),
        scripts={name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in SCRIPTS},
        options=about.get("options", {}),
        references=tuple(about.get("references", ())),
        example=about["example"],
        expected_reward=truth_of(about),
        folder=folder,
    )
