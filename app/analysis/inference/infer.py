"""Inference on arms, whole: every method for every arm and contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.analysis.arrays import Bools, Floats, Ints
from app.analysis.asymptotic import AlwaysValid, always_valid
from app.analysis.betting import ConfidenceSequence
from app.analysis.estimate import Estimate
from app.analysis.inference.guaranteed import guaranteed, guaranteed_contrast
from app.analysis.inference.naive import naive, naive_contrast
from app.analysis.inference.options import InferenceOptions
from app.analysis.inference.weighted import weighted_contrast, weighted_mean
from app.analysis.inference.weights import constant, previous_block, two_point, uniform
from app.analysis.log import DecisionLog
from app.analysis.missing import completed
from app.analysis.ridge import design
from app.analysis.scores import arm_scores, available, predicted

# Intervals that hold at one look, planned beforehand; the others may be looked at daily.
VALID_ONCE = ("naive", "uniform", "constant", "two_point", "contextual")
MAX_MISSING = 0.01
Found = Estimate | AlwaysValid | ConfidenceSequence | None


@dataclass(frozen=True)
class ArmResult:
    """One arm: its rows, their share, the least probability it had, and an interval by method (in ``detail``)."""

    arm: str
    n: int
    share: float | None
    min_p: float | None
    detail: Mapping[str, Found]


@dataclass(frozen=True)
class ContrastResult:
    """One arm minus the control, by method."""

    arm: str
    control: str
    detail: Mapping[str, Found]


@dataclass(frozen=True)
class InferenceResult:
    """The answer; ``shown`` names the methods to show first, ``warnings`` are sentences."""

    arms: tuple[ArmResult, ...]
    contrasts: tuple[ContrastResult, ...]
    horizon: int
    rows: int
    valid_once: tuple[str, ...]
    shown: tuple[str, ...]
    excluded: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def infer(
    log: DecisionLog, options: InferenceOptions | None = None, excluded: Mapping[str, int] | None = None
) -> InferenceResult:
    """What each arm earns and how it differs from the control.

    Raises ValueError for a control that is no arm, and where over 1 % of the rewards are missing and nobody chose
    what they count as.

    >>> import numpy as np
    >>> log = DecisionLog(("a", "b"), np.arange(200) % 2, np.full(200, 0.5), np.arange(200) % 2 * 1.0, lo=0.0, hi=1.0)
    >>> found = infer(log)
    >>> found.arms[1].detail["naive"].value, found.contrasts[0].detail["uniform"].value
    (1.0, 1.0)
    """
    options = options or InferenceOptions()
    share = float(log.missing.mean()) if len(log) else 0.0
    if options.missing == "refuse" and share > MAX_MISSING:
        raise ValueError(f"missing: {share:.1%} of the finished decisions have no reward; choose drop or default")
    log = completed(log, options.missing, options.default_reward)[0]
    analysis = _Analysis(log, options)
    control = analysis.control()
    others = [arm for arm in range(len(log.arms)) if arm != control]
    level = 1 - (1 - options.level) / max(1, len(others))
    return InferenceResult(
        arms=tuple(analysis.arm(arm) for arm in range(len(log.arms))),
        contrasts=tuple(analysis.contrast(arm, control, level) for arm in others),
        horizon=options.horizon,
        rows=len(log),
        valid_once=tuple(name for name in VALID_ONCE if name in analysis.methods),
        shown=("always_valid", "constant") if analysis.at_horizon and log.pmf is not None else ("always_valid",),
        excluded=excluded or {},
        warnings=(*analysis.warnings(), *_left_out(excluded or {}, len(log))),
    )


def _left_out(excluded: Mapping[str, int], rows: int) -> list[str]:
    """A sentence where over 1 % of the decisions have no propensity: those that are left may not be like them."""
    gone = sum(excluded.get(name, 0) for name in ("no_propensity", "zero_propensity"))
    return [f"{gone} decisions have no propensity and are left out."] if gone > MAX_MISSING * (rows + gone) else []


class _Analysis:
    """Scores of one log, and what is computed of them."""

    def __init__(self, log: DecisionLog, options: InferenceOptions) -> None:
        self.log, self.options = log, options
        self.scores = arm_scores(log)
        self.contextual: Floats | None = None
        if options.features:
            x = design(log, options.features)
            self.contextual = arm_scores(log, predicted(log, x, options.ridge, options.blocks))
        self.at_horizon = len(log) >= options.horizon

    @property
    def methods(self) -> list[str]:
        """The methods that this log allows."""
        weighted = ["uniform"] + (["constant", "two_point"] if self.log.pmf is not None else [])
        return ["naive", *weighted, *(["contextual"] if self.contextual is not None else [])]

    def control(self) -> int:
        """The index of the control."""
        arms, name = self.log.arms, self.options.control
        if name is None:
            return 0
        if name not in arms:
            raise ValueError(f"control: {name!r} is no arm of this log; there are {', '.join(arms)}")
        return arms.index(name)

    def arm(self, arm: int) -> ArmResult:
        log, level = self.log, self.options.level
        drawn = int((log.chosen == arm).sum())
        there = available(log, arm)
        found: dict[str, Found] = {}
        if drawn:
            found["naive"] = naive(log, arm, level)
            for name, scores, h in self.weighted(arm, there):
                found[name] = weighted_mean(scores, h, self.unit(there), level)
            found["always_valid"] = always_valid(self.scores[there, arm], level, self.options.horizon)
        else:
            found |= dict.fromkeys([*self.methods, "always_valid"])
        found["guaranteed"] = guaranteed(log.rows(there), arm, level)
        share = drawn / len(log) if len(log) else None
        return ArmResult(log.arms[arm], drawn, share, self.least(arm), found)

    def contrast(self, arm: int, control: int, level: float) -> ContrastResult:
        log, there = self.log, available(self.log, arm) & available(self.log, control)
        found: dict[str, Found] = {}
        if all((log.chosen == one).any() for one in (arm, control)):
            found["naive"] = naive_contrast(naive(log, arm, level), naive(log, control, level), level)
            pairs = zip(self.weighted(arm, there), self.weighted(control, there), strict=True)
            for (name, one, h_one), (_, other, h_other) in pairs:
                found[name] = weighted_contrast(one, h_one, other, h_other, self.unit(there), level)
            scores = self.scores[there, arm] - self.scores[there, control]
            found["always_valid"] = always_valid(scores, level, self.options.horizon)
        else:
            found |= dict.fromkeys([*self.methods, "always_valid"])
        found["guaranteed"] = guaranteed_contrast(log.rows(there), arm, control, level)
        return ContrastResult(log.arms[arm], log.arms[control], found)

    def weighted(self, arm: int, there: Bools) -> list[tuple[str, Floats, Floats]]:
        """Name, scores and weights of each method for an arm, over the rows in which it could be chosen."""
        scores = self.scores[there, arm]
        found = [("uniform", scores, uniform(scores))]
        if self.log.pmf is not None:
            p = self.log.pmf[there, arm]
            found += [("constant", scores, constant(p)), ("two_point", scores, two_point(p, self.options.two_point))]
        if self.contextual is not None:
            own = self.contextual[there, arm]
            found.append(("contextual", own, previous_block(own, self.options.blocks)))
        return found

    def unit(self, there: Bools) -> Ints | None:
        return None if self.log.unit is None else self.log.unit[there]

    def least(self, arm: int) -> float | None:
        """The least probability of an arm while it could be chosen; without a pmf, of its draws."""
        rows = self.log.chosen == arm
        p = self.log.propensity[rows] if self.log.pmf is None else self.log.pmf[available(self.log, arm), arm]
        return float(p.min()) if len(p) else None

    def warnings(self) -> list[str]:
        """Arms so rare at times that a single draw counts for more than all the log."""
        least = {name: self.least(arm) for arm, name in enumerate(self.log.arms)}
        return [
            f"The probability of {name} fell to {p:.3g}, below 1/{len(self.log)}: its intervals may be too narrow."
            for name, p in least.items()
            if p is not None and p < 1 / max(1, len(self.log))
        ]
