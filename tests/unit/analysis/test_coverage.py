"""How often the intervals of arms contain the truth in runs of Thompson sampling, which starves bad arms."""

from __future__ import annotations

import numpy as np
import pytest

from app.analysis.summary import reward_interval
from app.domain.moments import Moments

RATES = np.array([0.2, 0.4, 0.8])
RUNS, DRAWS = 600, 300


def thompson(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pulls and successes by run and arm, from a Beta(1, 1) prior; all runs side by side."""
    pulls, successes = np.zeros((RUNS, 3)), np.zeros((RUNS, 3))
    runs = np.arange(RUNS)
    for _ in range(DRAWS):
        arms = rng.beta(1 + successes, 1 + pulls - successes).argmax(axis=1)
        pulls[runs, arms] += 1
        successes[runs, arms] += rng.random(RUNS) < RATES[arms]
    return pulls, successes


@pytest.fixture(scope="module")
def counts() -> tuple[np.ndarray, np.ndarray]:
    return thompson(np.random.default_rng(1))


@pytest.mark.parametrize("arm", range(3))
def test_the_interval_of_an_arm_contains_its_rate(arm: int, counts: tuple[np.ndarray, np.ndarray]) -> None:
    """The worst arm is pulled about ten times: mean -+ 1.96 standard errors contains .2 in half of the runs.

    600 runs: the standard error of a coverage of .93 is .010, five of them below .93 is .88.
    """
    pulls, successes = counts
    found, wald = [], []
    for n, k in zip(pulls[:, arm], successes[:, arm], strict=True):
        if n == 0:
            continue
        interval = reward_interval(Moments(int(n), k / n, k * (n - k) / n), binary=True)
        assert interval is not None
        found.append(interval.low <= RATES[arm] <= interval.high)
        wald.append(abs(k / n - RATES[arm]) <= 1.96 * np.sqrt(k * (n - k) / n / max(n - 1, 1) / n))
    assert np.mean(found) > 0.88
    if arm == 0:
        assert np.mean(wald) < 0.7
