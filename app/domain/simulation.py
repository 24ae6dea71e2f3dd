"""What a simulation is asked for, and what its repetitions came to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from app.domain.experiment import ExperimentSpec
from app.domain.moments import Moments
from app.domain.outcomes import arm_name

MAX_DRAWS = 10_000_000
MAX_REPEATS = 1_000
# A visitor without any property needs no get_context; without the others there is nothing to choose, get or learn.
NEEDED = ("get_action", "get_reward", "set_reward")
_STRETCH = 100
MAX_POINTS = 2_000
_MIN_POINTS = 100


def new_seed() -> int:
    """A seed for whoever gives none."""
    return secrets.randbits(31)


@dataclass(frozen=True)
class Plan:
    """One simulation: so many draws from one seed, ``repeat`` times over; ``current`` starts from the live theta.

    With ``commit`` its theta becomes the live one, with ``log_stats`` its draws are stored. ``expected`` is the truth
    of the simulated world, where it is known: the expected reward of each arm.
    """

    n: int = 1_000
    seed: int = field(default_factory=new_seed)
    repeat: int = 1
    current: bool = False
    commit: bool = False
    log_stats: bool = False
    expected: dict[str, float] = field(default_factory=dict)

    @property
    def start(self) -> str:
        """Where its theta begins, in a word."""
        return "current" if self.current else "empty"

    @property
    def points(self) -> int:
        """How many points the series of one repetition may have; fewer where there are many to be averaged."""
        return max(_MIN_POINTS, MAX_POINTS // self.repeat)

    def seed_of(self, number: int) -> str:
        """What the draws of one repetition are seeded from; the first is the simulation without repetitions."""
        return str(self.seed) if number == 0 else f"{self.seed}/{number}"


@dataclass
class ArmTotals:
    """One arm of one repetition: its ``pulls``, and the moments of those ``rewards`` that were numbers.

    ``binary`` says whether each of them was 0 or 1.
    """

    name: str
    pulls: int
    rewards: Moments
    binary: bool = True


@dataclass
class SeriesPoint:
    """One repetition after ``draws`` draws: the sum of all rewards, and the pulls by arm, in the order of the arms."""

    draws: int
    total: float
    pulls: list[int]


@dataclass(frozen=True)
class RepetitionResult:
    """What one repetition came to; the arms are in the order in which they were first taken."""

    arms: list[ArmTotals]
    points: list[SeriesPoint]


def stretch_of(sources: dict[str, str]) -> int:
    """How many draws of these scripts are seeded together: from the first draw's number, and then they go on.

    >>> stretch_of({"get_action": "random.random()"}), stretch_of({"get_action": "Experiment('0193f2c1')"})
    (100, 1)
    """
    return 1 if any("Experiment" in source for source in sources.values()) else _STRETCH


def truth_of(about: Any) -> dict[str, float]:
    """What an ``experiment.yml`` says of the expected reward by arm, where it is one number for each of a list of arms.

    >>> truth_of({"arms": ["A", "B"], "expected_reward": {"A": 0.2, "B": 1}}), truth_of({"arms": {"price": [1, 9]}})
    ({'A': 0.2, 'B': 1.0}, {})

    What holds only ``until`` so many draws were made is not the truth of a longer run.
    """
    if not rewards_by_arm(about):
        return {}
    truth = {arm_name(arm): float(value) for arm, value in about["expected_reward"].items()}
    return truth if set(truth) == set(map(arm_name, about["arms"])) else {}


def rewards_by_arm(about: Any) -> bool:
    """Whether it means to give one number for each of a list of arms, for good, whichever arms it names."""
    arms, rewards = (about.get("arms"), about.get("expected_reward")) if isinstance(about, dict) else (None, None)
    if not isinstance(arms, list) or not isinstance(rewards, dict) or "until" in about:
        return False
    return all(isinstance(value, int | float) for value in rewards.values())


def missing_script(draft: ExperimentSpec) -> str | None:
    """The first script that a simulation needs and that is empty."""
    return next((name for name in NEEDED if not draft.scripts[name].strip()), None)
