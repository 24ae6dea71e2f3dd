"""Off-policy evaluation of slates: lists of items with a reward per position."""

from __future__ import annotations

import numpy as np

from app.analysis.arrays import Floats, Ints
from app.analysis.estimate import Estimate, mean_estimate

ASSUMPTIONS = {
    "joint": "none",
    "cascade": "a reward does not depend on later positions",
    "item_position": "a reward depends on the item at its own position only",
}
DEFAULT = "cascade"


def joint(ratios: Floats, rewards: Floats, unit: Ints | None = None, level: float = 0.95) -> Estimate:
    """``mean(W sum_j r_j)`` with ``W = prod_j pi_j / p_j``: no assumption, and weights of whole slates.

    Parameters
    ----------
    ratios
        ``pi(s_j | s_<j) / p(s_j | s_<j)`` per position, shape (n, k).
    rewards
        One per position, shape (n, k), or one for the whole slate, shape (n,) or (n, 1).

    >>> found = joint(np.array([[2.0, 0.5], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> found.value, found.detail["assumption"]
    (1.0, 'none')
    """
    whole = rewards if rewards.ndim == 1 else rewards.sum(axis=1)
    return _mean(ratios.prod(axis=1) * whole, "joint", unit, level)


def cascade(ratios: Floats, rewards: Floats, unit: Ints | None = None, level: float = 0.95) -> Estimate:
    """``mean sum_j W_{1..j} r_j``: exact if a reward does not depend on later positions (McInerney et al. 2020).

    Takes what :func:`joint` takes, with a reward per position.

    >>> cascade(np.array([[2.0, 0.5], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).value
    1.5
    """
    _per_position(ratios, rewards)
    return _mean((np.cumprod(ratios, axis=1) * rewards).sum(axis=1), "cascade", unit, level)


def item_position(ratios: Floats, rewards: Floats, unit: Ints | None = None, level: float = 0.95) -> Estimate:
    """``mean sum_j W_j r_j`` with the ratio of the marginals ``P(item at j)`` (Li et al. 2018).

    Exact if a reward depends on the item at its own position only. ``ratios`` are those of the marginals, shape
    (n, k): :func:`app.analysis.ope.plackett_luce.marginals` gives them.

    >>> item_position(np.array([[2.0, 0.5], [1.0, 1.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).value
    1.5
    """
    _per_position(ratios, rewards)
    return _mean((ratios * rewards).sum(axis=1), "item_position", unit, level)


def _per_position(ratios: Floats, rewards: Floats) -> None:
    if np.shape(ratios) != np.shape(rewards):
        raise ValueError(
            f"rewards: their shape is {np.shape(rewards)} and must be {np.shape(ratios)}, one per position; "
            "a reward for the whole slate allows joint only"
        )


def _mean(scores: Floats, name: str, unit: Ints | None, level: float) -> Estimate:
    return mean_estimate(scores, unit, level, assumption=ASSUMPTIONS[name])
