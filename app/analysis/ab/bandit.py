"""What an adaptive allocation would gain over an even split: Thompson sampling, simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.analysis.ab.checks import ParameterError, whole, within
from app.analysis.ab.statistic import Floats

CURVE_POINTS = 40


@dataclass(frozen=True)
class RegretPoint:
    """The expected reward lost so far, by Thompson sampling and by an even split."""

    step: int
    bandit_cumulative_regret: float
    uniform_cumulative_regret: float


@dataclass(frozen=True)
class BanditResult:
    """Averages over the simulations. ``probability_best_arm``: how often the best arm has the best posterior mean."""

    arm_allocation: tuple[float, ...]
    best_arm_index: int
    best_arm_allocation: float
    probability_best_arm: float
    final_bandit_regret: float
    final_uniform_regret: float
    regret_curve: tuple[RegretPoint, ...]
    num_simulations: int
    horizon: int


@dataclass(frozen=True)
class BanditSimulation:
    """Bernoulli arms, Beta(1,1) priors: each step draws from each posterior and pulls the arm with the highest draw.

    Regret is that of the pulls: the best rate minus the rate of the arm pulled. The same seed gives the same result.
    Source: Thompson (1933), Biometrika 25:285.

    >>> found = BanditSimulation((0.05, 0.10), 1000, 20).result()
    >>> round(found.final_uniform_regret, 9), found.best_arm_index, len(found.regret_curve)
    (25.0, 1, 40)
    """

    arm_rates: Sequence[float]
    horizon: int
    num_simulations: int = 400
    seed: int = 42

    def __post_init__(self) -> None:
        if not 2 <= len(self.arm_rates) <= 10:
            raise ParameterError("arm_rates", "2 to 10 rates", list(self.arm_rates))
        for rate in self.arm_rates:
            within("arm_rates", rate)
        whole("horizon", self.horizon, 10, 5000)
        whole("num_simulations", self.num_simulations, 1, 2000)
        whole("seed", self.seed, 0)

    def result(self) -> BanditResult:
        """Run the simulations, all of them side by side."""
        rates = np.asarray(self.arm_rates, dtype=np.float64)
        best, points = int(rates.argmax()), min(CURVE_POINTS, self.horizon)
        steps = [round(self.horizon * (i + 1) / points) for i in range(points)]
        lost, successes, failures = self._run(rates, steps)
        pulls = successes + failures - 2.0
        shares = pulls.mean(axis=0) / self.horizon
        found = (successes / (successes + failures)).argmax(axis=1)
        uniform = float(rates[best] - rates.mean())
        curve = tuple(RegretPoint(step, regret, uniform * step) for step, regret in zip(steps, lost, strict=True))
        return BanditResult(
            arm_allocation=tuple(shares.tolist()),
            best_arm_index=best,
            best_arm_allocation=float(shares[best]),
            probability_best_arm=float((rates[found] == rates[best]).mean()),
            final_bandit_regret=lost[-1],
            final_uniform_regret=uniform * self.horizon,
            regret_curve=curve,
            num_simulations=self.num_simulations,
            horizon=self.horizon,
        )

    def _run(self, rates: Floats, steps: Sequence[int]) -> tuple[list[float], Floats, Floats]:
        """Mean regret after the ``steps``, and both parameters of the posteriors, simulations in rows."""
        rng = np.random.default_rng(self.seed)
        rows = np.arange(self.num_simulations)
        successes, failures = (np.ones((self.num_simulations, len(rates))) for _ in range(2))
        gaps, total, lost, marks = rates.max() - rates, 0.0, [], set(steps)
        for step in range(1, self.horizon + 1):
            arms = rng.beta(successes, failures).argmax(axis=1)
            won = rng.random(self.num_simulations) < rates[arms]
            successes[rows, arms] += won
            failures[rows, arms] += ~won
            total += float(gaps[arms].sum())
            if step in marks:
                lost.append(total / self.num_simulations)
        return lost, successes, failures
