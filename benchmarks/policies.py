"""Cost of each policy's ``draw``, ``pull`` and ``update`` in microseconds, for 2, 10 and 100 arms.

Run by hand: ``python -m benchmarks.policies [NAME ...]``. Each call builds the policy from its theta, as a script does.
Theta is that of 20 rewards per arm with success rates between .2 and .8; contexts have five features.
"""

import importlib
import inspect
import pkgutil
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import policies
from policies.policy import Policy

ARMS = (2, 10, 100)
CONTEXT = [1.0, 0.5, -0.5, 1.0, 0.0]


def kinds() -> list[type[Policy]]:
    """Every policy, by name."""
    found = set()
    for info in pkgutil.iter_modules(policies.__path__):
        for _, kind in inspect.getmembers(importlib.import_module(f"policies.{info.name}"), inspect.isclass):
            if issubclass(kind, Policy) and not inspect.isabstract(kind):
                found.add(kind)
    return sorted(found, key=lambda kind: kind.__name__)


def learnt(kind: type[Policy], k: int) -> dict[str, Any]:
    """Theta after 20 rewards per arm."""
    np.random.seed(1)
    policy = kind({}, range(k))
    for arm in range(k):
        for _ in range(20):
            policy.update(arm, float(np.random.random() < 0.2 + 0.6 * arm / k), CONTEXT, 1 / k)
    return policy.get_dict()


def microseconds(call: Callable[[], object]) -> float:
    """The best of five rounds of about 20 ms."""
    start = time.perf_counter()
    call()
    n = max(1, int(0.02 / (time.perf_counter() - start)))
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(n):
            call()
        rounds.append((time.perf_counter() - start) / n)
    return 1e6 * min(rounds)


def main(names: list[str]) -> None:
    """Print the table."""
    print(f"{'':24}" + "".join(f"{f'{k} arms':^30}" for k in ARMS))
    print(f"{'':24}" + "".join(f"{call:>10}" for _ in ARMS for call in ("draw", "pull", "update")))
    for kind in kinds():
        if names and kind.__name__ not in names:
            continue
        cells = []
        for k in ARMS:
            arms, theta = list(range(k)), learnt(kind, k)
            cells += [
                microseconds(lambda kind=kind, theta=theta, arms=arms: kind(theta, arms).draw(CONTEXT)),
                microseconds(lambda kind=kind, theta=theta, arms=arms: kind(theta, arms).pull(CONTEXT)),
                microseconds(lambda kind=kind, theta=theta, arms=arms: kind(theta, arms).update(0, 1.0, CONTEXT, 0.5)),
            ]
        print(f"{kind.__name__:24}" + "".join(f"{cell:10.1f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
