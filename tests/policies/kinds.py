"""All policies, found by introspection, and what holds for the probabilities and draws of each."""

import importlib
import inspect
import math
import pkgutil

import pytest
import scipy.special as sc

import policies
from policies.policy import Policy

MODULES = [importlib.import_module(f"policies.{info.name}") for info in pkgutil.iter_modules(policies.__path__)]
KINDS = sorted(
    {
        kind
        for module in MODULES
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Policy) and not inspect.isabstract(kind)
    },
    key=lambda kind: kind.__name__,
)

every_policy = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
every_contextual_policy = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.contextual], ids=lambda kind: kind.__name__
)


def assert_probabilities(p, floor=0.0):
    assert all(math.isfinite(value) and value >= floor / len(p) * (1 - 1e-12) for value in p.values())
    assert math.fsum(p.values()) == pytest.approx(1.0, abs=1e-12)


def chi_square(draws, p):
    """The p-value of the draws under p; arms hardly ever drawn are taken together."""
    n = len(draws)
    counts = dict.fromkeys(p, 0)
    for arm in draws:
        counts[arm] += 1
    pairs = [(counts[arm], n * share) for arm, share in p.items() if n * share >= 5]
    rare = (n - sum(count for count, _ in pairs), n - sum(expected for _, expected in pairs))
    if rare[1] >= 1:
        pairs.append(rare)
    else:
        assert rare[0] <= 8
    statistic = sum((count - expected) ** 2 / expected for count, expected in pairs)
    return sc.chdtrc(max(len(pairs) - 1, 1), statistic)
