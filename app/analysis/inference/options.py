"""The options of inference on arms."""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis.arrays import check_level
from app.analysis.asymptotic import HORIZON


@dataclass(frozen=True)
class InferenceOptions:
    """How to infer; raises ValueError for what cannot be.

    Parameters
    ----------
    control
        The arm that others are compared with; None: the first.
    horizon
        The number of rows for which ``always_valid`` is narrowest, and from which on ``constant`` is shown.
    level
        Of each interval. Of contrasts it holds for all of them together: each is made at alpha / (K - 1).
    features, ridge, blocks
        With features, ``contextual`` is computed: scores around a forward ridge regression of them.
    two_point
        The alpha of the two-point weights.
    missing, default_reward
        How finished decisions without a reward count: ``refuse``, ``drop`` or ``default``.
    """

    control: str | None = None
    horizon: int = HORIZON
    level: float = 0.95
    features: tuple[str, ...] = ()
    ridge: float = 1.0
    blocks: int = 20
    two_point: float = 0.5
    missing: str = "refuse"
    default_reward: float | None = None

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.horizon < 100:
            raise ValueError(f"horizon: {self.horizon!r} must be 100 rows or more")
        if self.missing == "bounds":
            raise ValueError("missing: bounds is for off-policy evaluation; here it must be refuse, drop or default")
