"""Every policy of the library draws as it declares: 10,000 decisions each raise no alarm."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import policies
from app.analysis.audit.mean_weight import mean_weight
from app.analysis.checks.choice import choice
from app.analysis.log import DecisionLog
from policies.policy import Policy
from policies.slate import Slate

KINDS = sorted(
    {
        kind
        for info in pkgutil.iter_modules(policies.__path__)
        for _, kind in inspect.getmembers(importlib.import_module(f"policies.{info.name}"), inspect.isclass)
        # The propensity of a slate is that of a list; `test_off_policy` has its probabilities.
        if issubclass(kind, Policy) and not inspect.isabstract(kind) and kind is not Slate
    },
    key=lambda kind: kind.__name__,
)
ARMS = ("a", "b", "c")
RATES = {"a": 0.4, "b": 0.5, "c": 0.45}
CONTEXTS = np.random.default_rng(1).normal(size=(100, 2)).tolist()


def logged(kind: type[Policy], rows: int) -> DecisionLog:
    """A log of a policy that learns from every fourth reward, as rewards of pages come late or never."""
    np.random.seed(7)
    theta: dict[str, object] = {}
    pmf, chosen, reward = np.empty((rows, 3)), np.empty(rows, dtype=np.int64), np.empty(rows)
    for row in range(rows):
        context = [1.0, *CONTEXTS[row % len(CONTEXTS)]] if kind.contextual else None
        policy = kind(theta, ARMS)  # type: ignore[call-arg]
        declared = policy.probabilities(context)
        arm, p = policy.pull(context)
        assert p == pytest.approx(declared[arm], rel=1e-12)
        pmf[row], chosen[row] = [declared[name] for name in ARMS], ARMS.index(arm)
        reward[row] = np.random.random() < RATES[arm]
        if row % 4 == 0:
            policy.update(arm, reward[row], context, p)
            theta = policy.get_dict()
    return DecisionLog(ARMS, chosen, pmf[np.arange(rows), chosen], reward, pmf)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_honest_policy_raises_no_alarm_in_ten_thousand_decisions(kind: type[Policy]) -> None:
    log = logged(kind, 10_000)
    assert [each.arm for each in choice(log) if each.alarm] == []
    assert not mean_weight(log).alarm


@pytest.mark.slow
def test_a_policy_whose_propensities_are_falsified_is_found() -> None:
    """One arm of a softmax declares a tenth more than it has, the others what is left; 5,000 decisions tell."""
    log = logged(next(kind for kind in KINDS if kind.__name__ == "Softmax"), 5000)
    assert log.pmf is not None
    falsified = log.pmf.copy()
    arm = int(np.argmax(falsified.mean(axis=0)))
    falsified[:, arm] *= 1.1
    others = [other for other in range(3) if other != arm]
    left = 1 - falsified[:, arm]
    assert (left > 0).all()
    falsified[:, others] *= (left / falsified[:, others].sum(axis=1))[:, None]
    wrong = DecisionLog(ARMS, log.chosen, falsified[np.arange(5000), log.chosen], log.reward, falsified)
    assert choice(wrong)[arm].alarm
    assert not choice(log)[arm].alarm
