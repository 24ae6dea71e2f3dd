"""Seconds and memory of the analyses over a million rows.

Run by hand: ``python -m benchmarks.analysis [ROWS]``. Three arms, one feature, a candidate that is a table by context.
Each analysis runs in a process of its own, whose peak memory holds the log as well; so ``log`` is what that takes.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from app.analysis.audit.mean_weight import mean_weight
from app.analysis.checks.choice import choice
from app.analysis.inference.infer import infer
from app.analysis.log import DecisionLog
from app.analysis.ope.candidate import table
from app.analysis.ope.dr import dr
from app.analysis.ope.evaluate import evaluate
from app.analysis.ope.ips import ips
from app.analysis.ope.options import OffPolicyOptions
from app.analysis.ope.snips import snips
from app.analysis.ridge import design, fit_forward

TABLE = [{"when": {"x": 0}, "pmf": {"a": 0.8, "b": 0.2}}, {"pmf": {"b": 1.0}}]


def made(n: int) -> DecisionLog:
    """A log whose exploration falls to 5 % per arm."""
    rng = np.random.default_rng(1)
    x = (rng.random(n) < 0.4).astype(float)
    g = np.maximum(1 / (3 * np.sqrt(np.arange(1, n + 1))), 0.05)
    pmf = np.stack([1 - 2 * g, g, g], axis=1)
    chosen = (rng.random(n)[:, None] > np.cumsum(pmf, axis=1)[:, :2]).sum(axis=1)
    means = np.array([[0.5, 0.4, 0.3], [0.2, 0.6, 0.3]])[x.astype(int), chosen]
    reward = (rng.random(n) < means).astype(float)
    return DecisionLog(
        ("a", "b", "c"), chosen, pmf[np.arange(n), chosen], reward, pmf, context={"x": x}, lo=0.0, hi=1.0
    )


def three(log: DecisionLog) -> None:
    """IPS, SNIPS and DR of a table: what must take 10 s and 1 GB at most."""
    target = table(log, TABLE)
    assert target.pi is not None
    w = target.weights(log)
    ips(w, log.reward)
    snips(w, log.reward)
    dr(w, log.reward, fit_forward(log, target.pi, design(log, ["x"])))


ANALYSES: dict[str, Callable[[DecisionLog], object]] = {
    "log": lambda log: None,
    "ips, snips, dr": three,
    "evaluate": lambda log: evaluate(log, table(log, TABLE), OffPolicyOptions(features=("x",))),
    "infer": infer,
    "choice": choice,
    "mean weight": mean_weight,
}


def measure(name: str, n: int) -> None:
    """Print one line of the table."""
    log = made(n)
    begin = time.perf_counter()
    ANALYSES[name](log)
    seconds = time.perf_counter() - begin
    print(f"{name:16}{seconds:9.2f} s{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:9.0f} MB", flush=True)


def main(n: int) -> None:
    """Measure every analysis."""
    processes = multiprocessing.get_context("spawn")
    for name in ANALYSES:
        process = processes.Process(target=measure, args=(name, n))
        process.start()
        process.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
