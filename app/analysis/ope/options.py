"""The options of an off-policy evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.arrays import check_level
from app.analysis.asymptotic import HORIZON
from app.analysis.betting import K


@dataclass(frozen=True)
class OffPolicyOptions:
    """How to evaluate; raises ValueError for what cannot be.

    Parameters
    ----------
    features
        Context fields of the reward model of ``dm``, ``dr`` and ``switch_dr``; none: a mean per arm.
    ridge, blocks
        Its penalty, and the number of blocks of forward cross-fitting.
    tau
        Of ``switch_dr``: a number, or ``"auto"``, which needs the bounds of the reward.
    clip
        Weights above it are cut in ``clipped``; None: no such estimate.
    k
        The truncation of the betting sequence.
    level
        Of all intervals.
    missing, default_reward
        How finished decisions without a reward count: ``refuse``, ``default``, ``drop`` or ``bounds``.
    horizon
        The row for which the asymptotic sequence is narrowest; used where rewards have no bounds.
    adaptive
        Whether probabilities depended on earlier rewards. Only where they did not are ``bootstrap`` and, with
        ``floor``, the least probability of any arm as promised, ``bernstein`` computed.
    replay, bound
        Whether to compute ``replay``; ``bound`` promises the largest weight where the log is not uniform.
    seed
        Of replay and bootstrap.
    """

    features: tuple[str, ...] = ()
    ridge: float = 1.0
    blocks: int = 20
    tau: float | str = "auto"
    clip: float | None = None
    k: float = K
    level: float = 0.95
    missing: str = "refuse"
    default_reward: float | None = None
    horizon: int = HORIZON
    adaptive: bool = True
    floor: float | None = None
    replay: bool = False
    bound: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.k < 0:
            raise ValueError(f"k: {self.k!r} must not be negative")
        if isinstance(self.tau, str) and self.tau != "auto":
            raise ValueError(f"tau: {self.tau!r} must be a positive number or 'auto'")
        if self.floor is not None and not 0 < self.floor <= 1:
            raise ValueError(f"floor: {self.floor!r} must lie in (0, 1]")
        if self.seed < 0:
            raise ValueError(f"seed: {self.seed!r} must not be negative")
