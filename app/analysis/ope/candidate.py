"""Candidates: which arms another policy would choose, with which probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.analysis.arms import arm_name
from app.analysis.arrays import Bools, Floats
from app.analysis.log import TOLERANCE, DecisionLog
from app.domain.values import same_json


@dataclass(frozen=True, eq=False)
class Target:
    """The candidate's probabilities for the decisions of a log.

    ``own`` is that of the arm that was chosen, shape (n,). ``pi`` holds those of all arms, shape (n, K), or is None
    where only ``own`` is known. ``outside`` is what goes to arms that are not in the log, shape (n,). ``source`` says
    how the probabilities were found; under ``monte_carlo`` they are shares of ``draws`` runs.
    """

    own: Floats
    pi: Floats | None = None
    outside: Floats | None = None
    source: str = "given"
    draws: int | None = None

    @classmethod
    def of(cls, pi: Floats, log: DecisionLog, outside: Floats | None = None, source: str = "given") -> Target:
        """The target of probabilities of shape (n, K); raises ValueError unless they sum to 1 with ``outside``."""
        if np.shape(pi) != (len(log), len(log.arms)):
            raise ValueError(f"candidate: its shape is {np.shape(pi)} and must be ({len(log)}, {len(log.arms)})")
        sums = pi.sum(axis=1) + (0.0 if outside is None else outside)
        wrong = ~(np.abs(sums - 1) <= TOLERANCE) | (pi < 0).any(axis=1)
        if wrong.any():
            raise ValueError(f"candidate: its probabilities for row {int(np.argmax(wrong))} must be >= 0 and sum to 1")
        return cls(pi[np.arange(len(log)), log.chosen], pi, outside, source)

    def rows(self, which: Bools) -> Target:
        """The target of some rows only."""
        pi = None if self.pi is None else self.pi[which]
        return Target(
            self.own[which], pi, None if self.outside is None else self.outside[which], self.source, self.draws
        )

    def weights(self, log: DecisionLog) -> Floats:
        """Importance weights ``w = pi(a) / p`` of the chosen arms, shape (n,)."""
        return self.own / log.propensity


def candidate_of(document: Any, log: DecisionLog) -> Target:
    """The target that a body's ``candidate`` names: ``{"policy": "uniform"}``, ``{"arm": X}`` or ``{"table": [...]}``.

    Raises ValueError for anything else; scripts and revisions are run elsewhere and come in as probabilities.
    """
    kind = next(iter(document)) if isinstance(document, Mapping) and len(document) == 1 else None
    if kind == "policy" and document[kind] == "uniform":
        return uniform(log)
    if kind == "arm":
        return one_arm(log, document[kind])
    if kind == "table":
        return table(log, document[kind])
    raise ValueError('candidate: must be {"policy": "uniform"}, {"arm": NAME} or {"table": [{"when": {}, "pmf": {}}]}')


def uniform(log: DecisionLog) -> Target:
    """Every arm that a decision could choose from, with equal probability."""
    if log.offered is None:
        return Target.of(np.full((len(log), len(log.arms)), 1.0 / max(1, len(log.arms))), log)
    return Target.of(log.offered / log.offered.sum(axis=1, keepdims=True), log)


def one_arm(log: DecisionLog, arm: Any) -> Target:
    """Always the same arm, by name or as the action without its propensity."""
    return table(log, [{"pmf": {arm_name(arm): 1.0}}])


def table(log: DecisionLog, entries: Any) -> Target:
    """Probabilities by context: the first entry whose ``when`` equals the row's context holds.

    Raises ValueError where an entry is not ``{"when": {...}, "pmf": {...}}``, a pmf does not sum to 1, or a row
    matches no entry.
    """
    places = {name: place for place, name in enumerate(log.arms)}
    pi, outside = np.zeros((len(log), len(log.arms))), np.zeros(len(log))
    left = np.ones(len(log), dtype=bool)
    for when, pmf in table_entries(entries):
        matched = left.copy()
        for name, value in when.items():
            matched &= equal(log.context.get(name), value, len(log))
        for arm, p in pmf.items():
            if arm in places:
                pi[matched, places[arm]] = p
            else:
                outside[matched] += p
        left &= ~matched
        if not left.any():
            break
    if left.any():
        raise ValueError(
            f"candidate.table: no entry matches row {int(np.argmax(left))}; add one without when at the end"
        )
    return Target.of(pi, log, outside if outside.any() else None)


def table_entries(entries: Any) -> list[tuple[Mapping[str, Any], dict[str, float]]]:
    """The entries of a table, checked: ``when`` and ``pmf``."""
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise ValueError('candidate.table: must be a list of {"when": {...}, "pmf": {...}}, with one entry at least')
    found = []
    for number, entry in enumerate(entries):
        where = f"candidate.table[{number}]"
        if (
            not isinstance(entry, Mapping)
            or not set(entry) <= {"when", "pmf"}
            or not isinstance(entry.get("pmf"), Mapping)
        ):
            raise ValueError(f'{where}: must be {{"when": {{...}}, "pmf": {{ARM: p}}}}; when may be absent')
        when, pmf = entry.get("when", {}), entry["pmf"]
        if not isinstance(when, Mapping):
            raise ValueError(f"{where}.when: must be an object of context fields and their values")
        if not all(isinstance(p, int | float) and not isinstance(p, bool) and 0 <= p <= 1 for p in pmf.values()):
            raise ValueError(f"{where}.pmf: each probability must be a number in [0, 1]")
        if abs(sum(pmf.values()) - 1) > TOLERANCE:
            raise ValueError(f"{where}.pmf: its probabilities sum to {sum(pmf.values())!r} and must sum to 1")
        found.append((when, {str(arm): float(p) for arm, p in pmf.items()}))
    return found


def equal(column: Any, value: Any, n: int) -> Bools:
    """Where a column equals a JSON value, shape (n,); nowhere if the context has no such field.

    >>> equal(np.array([0, 1]), 1, 2).tolist(), equal(["a", {"b": 1.0}], {"b": 1}, 2).tolist()
    ([False, True], [False, True])
    """
    if column is None:
        return np.zeros(n, dtype=bool)
    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return np.asarray(column == value) if number else np.zeros(n, dtype=bool)
    known: dict[str, bool] = {}
    return np.fromiter((_same(part, value, known) for part in column), dtype=bool, count=n)


def _same(part: Any, value: Any, known: dict[str, bool]) -> bool:
    """Whether two JSON values are equal; answers are kept by the text of the first, as columns repeat themselves."""
    key = part if type(part) is str else json.dumps(part)
    text = ("s" if type(part) is str else "j") + str(key)
    if text not in known:
        known[text] = same_json(part, value)
    return known[text]
