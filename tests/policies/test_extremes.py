"""Contexts that spoil matrices, and what the sandbox forbids: late imports, files, threads."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from policies.exp3 import EXP3
from policies.linear import LinearThompson
from policies.linucb import HybridLinUCB, LinUCB
from policies.logistic import LogisticThompson
from policies.squarecb import SquareCB

CONTEXTUAL = [LinUCB, HybridLinUCB, LinearThompson, LogisticThompson, SquareCB]
CONTEXTS = {
    "huge and tiny features": [[1e12, 1e-12], [1e-12, 1e12]],
    "a feature that is a copy": [[1.0, 1.0], [2.0, 2.0]],
    "a feature that is never seen": [[1.0, 0.0], [-1.0, 0.0]],
    "nothing at all": [[0.0, 0.0]],
}


@pytest.mark.parametrize("lam", [1.0, 1e-12])
@pytest.mark.parametrize("contexts", CONTEXTS)
@pytest.mark.parametrize("kind", CONTEXTUAL)
def test_contexts_that_make_singular_matrices(kind, contexts, lam):
    policy = kind({}, ["a", "b", "c"], lam=lam, floor=0.01)
    np.random.seed(1)
    for step in range(200):
        context = CONTEXTS[contexts][step % len(CONTEXTS[contexts])]
        p = policy.probabilities(context)
        assert sum(p.values()) == pytest.approx(1.0, abs=1e-9)
        assert min(p.values()) > 0.003
        policy.update("abc"[step % 3], [0.0, 1.0, 1e12, 1e-12][step % 4], context)
    json.dumps(policy.get_dict(), allow_nan=False)


@pytest.mark.parametrize("kind", [LinUCB, LinearThompson, LogisticThompson, SquareCB])
def test_a_context_of_another_length_is_refused(kind):
    policy = kind({}, ["a", "b"])
    policy.update("a", 1.0, [1.0, 2.0])
    with pytest.raises(ValueError, match="features"):
        policy.probabilities([1.0, 2.0, 3.0])


@pytest.mark.parametrize("propensity", [0.0, -0.1, float("nan")])
def test_exponential_weights_refuse_a_propensity_that_is_none(propensity):
    with pytest.raises(ValueError, match="propensity"):
        EXP3({}, ["a", "b"]).update("a", 1.0, propensity=propensity)


AFTER_IMPORT = """
import os, sys
import policies, inspect
from policies.policy import Policy
modules, threads = set(sys.modules), len(os.listdir("/proc/self/task"))
opened = []
sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)
for module in policies.SCRIPT_NAMES.values():
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, Policy) and not inspect.isabstract(kind):
            policy = kind({}, ["a", "b", "c"])
            for step in range(9):
                policy.update("abc"[step % 3], step % 2, [1.0, 0.5], 0.3)
                policy.pull([1.0, 0.5]), policy.draw([1.0, 0.5])
print(set(sys.modules) - modules, opened, len(os.listdir("/proc/self/task")) - threads)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads the way Linux shows them")
def test_nothing_is_imported_or_opened_and_no_thread_starts_once_policies_are_loaded():
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", AFTER_IMPORT], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set() [] 0"
