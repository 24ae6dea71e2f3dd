"""Lock-in feedback: climb a reward curve by wiggling a continuous action."""

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from policies.checks import Range, finite


class LiF:
    """Find the best value of a continuous action by oscillating around the present one.

    The action is ``x0 + a cos(omega t)``. Multiply the reward by the same cosine and average: what doesn't move with
    the oscillation cancels out, what remains is proportional to the slope of the reward at x0, as in a lock-in
    amplifier. x0 moves along the slope. The maximum is tracked even if it drifts, because the oscillation never stops.

    The action is a deterministic function of t, so it has neither a propensity nor a density.

    Parameters
    ----------
    theta
        ``{"Yw": [[t, x, y * cosine], ...], "t": ..., "x0": ...}``, or ``{}``.
    x0
        Where to start.
    a
        Amplitude of the oscillation.
    t
        Rewards to average over: a few periods, ``2 pi / omega`` each; up to 60,000 fit into theta.
    gamma
        How far x0 moves for a given slope.
    omega
        Frequency of the oscillation.
    lifversion
        1: x0 moves after each ``t`` rewards, on those. 2: after each reward, on the latest ``t``.

    Examples
    --------
    >>> policy = LiF({}, x0=1.0, a=0.5, t=20, gamma=0.5, omega=0.8, lifversion=1)
    >>> for _ in range(2000):
    ...     suggestion = policy.suggest()
    ...     x = suggestion["x"]
    ...     policy.update(suggestion["t"], x, -((x - 3.0) ** 2), suggestion["x0"])
    >>> round(policy.get_dict()["x0"], 1)
    3.0

    References
    ----------
    Kaptein, Van Emden and Iannuzzi (2016). Tracking the decoy: maximizing the decoy effect through sequential
    experimentation. Palgrave Communications 2. Kaptein and Iannuzzi (2015). Lock in feedback in sequential experiments.
    arXiv:1502.00598.
    """

    propensity = None  # a continuous, deterministic action has none

    ranges: ClassVar[Mapping[str, Range]] = {
        "x0": Range(),
        "a": Range(),
        "t": Range(1, 60_000, whole=True),
        "gamma": Range(),
        "omega": Range(-1e6, 1e6),
        "lifversion": Range(1, 2, whole=True),
    }
    x0: float
    a: float
    t: int
    gamma: float
    omega: float
    lifversion: int

    def __init__(
        self,
        theta: Mapping[str, Any] | None,
        x0: float = 1.0,
        a: float = 1.4,
        t: int = 100,
        gamma: float = 0.004,
        omega: float = 0.8,
        lifversion: int = 2,
    ) -> None:
        given = {"x0": x0, "a": a, "t": t, "gamma": gamma, "omega": omega, "lifversion": lifversion}
        for name, value in given.items():
            setattr(self, name, self.ranges[name].check(name, value))
        stored = theta or {}
        rows = stored.get("Yw", [])
        rows = json.loads(rows) if isinstance(rows, str) else rows
        filled = [row for row in rows if all(value is not None and math.isfinite(value) for value in row)]
        self.theta: dict[str, Any] = {
            "Yw": [[float(value) for value in row] for row in filled],
            "t": int(stored.get("t", 0)),
            "x0": float(stored.get("x0", x0)),
        }

    def suggest(self) -> dict[str, Any]:
        """The next action: ``{"x": action, "t": its time, "x0": its centre}``."""
        self.theta["t"] += 1
        t, x0 = self.theta["t"], self.theta["x0"]
        return {"x": x0 + self.a * math.cos(self.omega * t), "t": t, "x0": x0}

    def update(self, t: int, x: float, y: float, x0: float | None = None) -> None:
        """Learn from the reward y of the action x at time t.

        ``x0`` is the centre that :meth:`suggest` gave with it; without it the oscillation is computed from ``t``. A
        number that is not finite raises ValueError, and so does a reward so large that the centre would overflow.
        """
        x, y = finite(x, "x"), finite(y, "y")
        oscillation = self.a * math.cos(self.omega * t) if x0 is None else x - finite(x0, "x0")
        product = finite(y * oscillation, "the reward times the oscillation")
        rows, centre = [*self.theta["Yw"], [float(t), x, product]][-self.t :], self.theta["x0"]
        if len(rows) == self.t:
            centre = finite(
                centre + self.gamma * math.fsum(row[2] / self.t for row in rows), "the centre of the action"
            )
            if self.lifversion == 1:
                rows = []
        self.theta.update(t=max(self.theta["t"], int(t)), Yw=rows, x0=centre)

    def get_dict(self) -> dict[str, Any]:
        """``{"Yw": rows in the window, "t": ..., "x0": ...}``."""
        return dict(self.theta)
