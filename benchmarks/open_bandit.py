"""Off-policy evaluation on the sample of the Open Bandit Dataset, a real log of a Thompson policy.

Run by hand: ``python -m benchmarks.open_bandit all=ALL.CSV women=WOMEN.CSV``, with the files ``bts/all/all.csv`` and
``bts/women/women.csv`` of the sample (Saito et al. 2021; it comes with the package ``obp`` 0.4.1). It prints what the
uniform policy would earn, beside the figures of the reference implementation, and fails where they differ.
"""

from __future__ import annotations

import csv
import math
import sys

import numpy as np

from app.analysis.log import DecisionLog
from app.analysis.ope.candidate import uniform
from app.analysis.ope.evaluate import OffPolicyResult, evaluate
from app.analysis.ope.ips import ips
from app.analysis.ope.options import OffPolicyOptions

ARMS = {"all": 80, "women": 46}
EXPECTED = {
    "all": {
        "ips": 0.002359639517,
        "ips se": 0.0008710220724,
        "snips": 0.002333713893,
        "dr": 0.002293976049,
        "dr se": 0.001143124353,
        "ess": 340.3783411,
        "event_ess": 7.334285154,
        "max_share": 0.02747258022,
        "mean": 1.01110917,
        "khat": 0.6609219557,
        "missing_mass": 0.2505634161,
        "low": 0.0007225161109,
        "high": 0.2570193405,
    },
    "women": {"ess": 2.077822692, "max_share": 0.6936123939, "mean": 3.134190021},
}
VERDICTS = {"all": ("caution", {"ess", "few_events"}), "women": ("refuse", {"ess", "one_row", "mean_weight"})}


def read(path: str, arms: int) -> DecisionLog:
    """A campaign: item, click and propensity of each row."""
    with open(path, encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    chosen = np.array([int(row["item_id"]) for row in rows])
    p = np.array([float(row["propensity_score"]) for row in rows])
    click = np.array([float(row["click"]) for row in rows])
    return DecisionLog(tuple(map(str, range(arms))), chosen, p, click, lo=0.0, hi=1.0)


def figures(log: DecisionLog, found: OffPolicyResult) -> dict[str, float | None]:
    """What is compared, by name."""
    named = {name: getattr(found.weights, name) for name in ("ess", "event_ess", "max_share", "mean", "khat")}
    if found.estimates is not None and found.sequence is not None:
        each = found.estimates
        named |= {name: each[name].value for name in ("ips", "snips", "dr")}
        named |= {"ips se": ips(uniform(log).weights(log), log.reward).se, "dr se": each["dr"].se}
        named |= {"missing_mass": each["clipped"].detail["missing_mass"]}
        named |= {"low": found.sequence.low, "high": found.sequence.high}
    return named


def main(arguments: list[str]) -> int:
    """Print and compare; returns how many figures differ."""
    wrong = 0
    for name, path in (argument.split("=", 1) for argument in arguments):
        log = read(path, ARMS[name])
        found = evaluate(log, uniform(log), OffPolicyOptions(clip=10.0))
        named = figures(log, found)
        print(f"{name}: {len(log)} rows, {found.verdict}")
        for reason in found.reasons:
            print(f"  {reason.code}: {reason.text}")
        for figure, expected in EXPECTED[name].items():
            value = named[figure]
            same = value is not None and math.isclose(value, expected, rel_tol=1e-9)
            wrong += not same
            print(f"  {figure:14}{value!s:24}{expected:<16}{'' if same else 'differs'}")
        verdict, codes = VERDICTS[name]
        wrong += (found.verdict, codes <= {reason.code for reason in found.reasons}) != (verdict, True)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
