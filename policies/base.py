"""Streaming estimators: summaries of a stream that take constant memory.

Each is built from its theta (``{}`` for a fresh start, what :meth:`get_dict` gave for a later one), moves by one
observation with ``update`` and answers with ``get_value``. The recurrences are Welford's: they add small corrections
to a mean instead of keeping sums of squares. Where a mean is a million times as large as the corrections, theta also
has a ``rest``, what the mean as a double cannot hold, so a million rewards around 1e12 keep their mean and variance.

An observation that is not a finite number raises ValueError, and so does one that would make theta overflow. Theta is
then as it was.
"""

import math
import random as _random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from policies.arms import arm_name
from policies.checks import finite
from policies.ties import leads

Theta = Mapping[str, Any]

NEAR = 1e-6  # observations closer to the mean than this share of it need a ``rest``


class Estimator:
    """What the streaming estimators share: a dict of numbers, one of which is the answer."""

    main: ClassVar[str]
    start: ClassVar[dict[str, float]]

    def __init__(self, default: Theta | None = None) -> None:
        self.value: dict[str, Any] = {**self.start, **(default or {})}

    def get_value(self) -> float:
        """The estimate itself."""
        return float(self.value[self.main])

    def get_count(self) -> int:
        """How many observations it has seen."""
        return int(self.value["n"])

    def get_dict(self) -> dict[str, Any]:
        """All that is needed to go on later."""
        return dict(self.value)

    def _take(self, changes: dict[str, float]) -> None:
        """Put changes into theta, all or none."""
        for key, number in changes.items():
            if not math.isfinite(number):
                raise ValueError(f"{type(self).__name__}: {key!r} would not be a finite number after this observation")
        self.value.update(changes)

    def _moved(self, key: str, value: float, n: int, rest_key: str = "rest") -> tuple[dict[str, float], float, float]:
        """The mean under ``key`` after the n-th value, and the surprise before and after that move."""
        mean, rest = float(self.value[key]), float(self.value.get(rest_key, 0.0))
        before = value - mean - rest
        if not rest and (n == 1 or abs(before) >= NEAR * abs(mean)):
            mean += before / n
            return {key: mean}, before, value - mean
        # The sum of mean and step as two doubles (Knuth's two-sum): the second has what the first rounds away.
        step = rest + before / n
        moved = mean + step
        part = moved - mean
        rest = (mean - (moved - part)) + (step - part)
        changes = {key: moved, rest_key: rest} if rest or rest_key in self.value else {key: moved}
        return changes, before, value - moved - rest


class Count(Estimator):
    """A counter.

    Counting is the summary behind every rate and every exploration bonus; it needs one number.

    Parameters
    ----------
    default
        ``{"n": ...}``, or ``{}`` for a new counter.

    Examples
    --------
    >>> count = Count({})
    >>> count.increment()
    >>> count.update(4)
    >>> count.get_count()
    5
    """

    main = "n"
    start = {"n": 0}

    def update(self, value: int = 1) -> None:
        """Add ``value``, a whole number."""
        self.value["n"] = int(self.value["n"]) + int(finite(value, "value"))

    def increment(self) -> None:
        """Add one."""
        self.update(1)


class Mean(Estimator):
    """A running mean.

    The mean moves by the n-th part of the surprise, so neither the observations nor their sum need to be kept.

    Parameters
    ----------
    default
        ``{"n": ..., "m": ...}``, or ``{}`` for a new mean.

    Examples
    --------
    >>> mean = Mean({})
    >>> for reward in (1, 2, 6):
    ...     mean.update(reward)
    >>> mean.get_value()
    3.0
    """

    main = "m"
    start = {"n": 0, "m": 0.0}

    def update(self, value: float) -> None:
        """Take in one observation."""
        n = int(self.value["n"]) + 1
        changes, _, _ = self._moved("m", finite(value, "value"), n)
        self._take({"n": n, **changes})


class Proportion(Estimator):
    """A running proportion of successes.

    A mean of zeros and ones. ``p * n`` is the number of successes, which is all a Bernoulli policy needs to know. A
    value outside 0..1 counts as the nearer bound, one between them as a part of a success.

    Parameters
    ----------
    default
        ``{"p": ..., "n": ...}``, or ``{}`` for a new proportion.

    Examples
    --------
    >>> proportion = Proportion({})
    >>> for success in (1, 0, 0, 1):
    ...     proportion.update(success)
    >>> proportion.get_value()
    0.5
    """

    main = "p"
    start = {"p": 0.0, "n": 0}

    def update(self, value: float) -> None:
        """Take in a success (1) or a failure (0)."""
        n, p = int(self.value["n"]) + 1, float(self.value["p"])
        success = min(1.0, max(0.0, finite(value, "value")))
        self._take({"n": n, "p": p + (success - p) / n})


class Variance(Estimator):
    """A running sample variance.

    Welford's recurrence adds the product of the surprise before and after the mean has moved to the sum of squared
    deviations. It never subtracts two large numbers, which is what ruins the textbook formula.

    Parameters
    ----------
    default
        ``{"n": ..., "x_bar": ..., "s": ..., "v": ...}``, or ``{}``.

    Examples
    --------
    >>> variance = Variance({})
    >>> for reward in (1e12 + 1, 1e12 + 2, 1e12 + 3):
    ...     variance.update(reward)
    >>> variance.get_value()
    1.0

    References
    ----------
    Welford (1962). Note on a method for calculating corrected sums of squares and products. Technometrics 4(3).
    """

    main = "v"
    start = {"n": 0, "x_bar": 0.0, "s": 0.0, "v": 0.0}

    def update(self, value: float) -> None:
        """Take in one observation."""
        n = int(self.value["n"]) + 1
        changes, before, after = self._moved("x_bar", finite(value, "value"), n)
        s = float(self.value["s"]) + before * after
        self._take({"n": n, **changes, "s": s, "v": s / (n - 1) if n > 1 else float(self.value["v"])})


class Covariance(Estimator):
    """A running sample covariance of two numbers.

    As the variance, with one factor of the surprise taken from each of the two.

    Parameters
    ----------
    default
        ``{"n": ..., "x_bar": ..., "y_bar": ..., "cov": ...}``, or ``{}``.

    Examples
    --------
    >>> covariance = Covariance({})
    >>> for x, y in ((1, 2), (2, 4), (3, 6)):
    ...     covariance.update({"x": x, "y": y})
    >>> covariance.get_value()
    2.0
    """

    main = "cov"
    start = {"n": 0, "x_bar": 0.0, "y_bar": 0.0, "cov": 0.0}

    def update(self, value: Mapping[str, float]) -> None:
        """Take in one pair ``{"x": ..., "y": ...}``."""
        self._take(self._changes(finite(value["x"], "x"), finite(value["y"], "y"))[0])

    def _changes(self, x: float, y: float) -> tuple[dict[str, float], dict[str, float]]:
        """What theta becomes, and for each axis by how much the sum of squared deviations grows."""
        n, cov = int(self.value["n"]) + 1, float(self.value["cov"])
        x_moved, x_before, x_after = self._moved("x_bar", x, n, "x_rest")
        y_moved, y_before, y_after = self._moved("y_bar", y, n, "y_rest")
        if n > 1:
            cov += (x_before * y_after - cov) / (n - 1)
        return {"n": n, **x_moved, **y_moved, "cov": cov}, {"x": x_before * x_after, "y": y_before * y_after}


class Correlation(Covariance):
    """A running correlation of two numbers.

    The covariance divided by both standard deviations; zero as long as one of them is.

    Parameters
    ----------
    default
        ``{"n", "x_bar", "y_bar", "x_s", "y_s", "x_v", "y_v", "cov", "c"}``, or ``{}``.

    Examples
    --------
    >>> correlation = Correlation({})
    >>> for x, y in ((1, 2), (2, 1), (3, 3)):
    ...     correlation.update({"x": x, "y": y})
    >>> round(correlation.get_value(), 6)
    0.5
    """

    main = "c"
    start = {"n": 0, "x_bar": 0.0, "y_bar": 0.0, "x_s": 0.0, "y_s": 0.0, "x_v": 0.0, "y_v": 0.0, "cov": 0.0, "c": 0.0}

    def update(self, value: Mapping[str, float]) -> None:
        """Take in one pair ``{"x": ..., "y": ...}``."""
        changes, grown = self._changes(finite(value["x"], "x"), finite(value["y"], "y"))
        for axis, growth in grown.items():
            changes[f"{axis}_s"] = float(self.value[f"{axis}_s"]) + growth
            changes[f"{axis}_v"] = changes[f"{axis}_s"] / max(changes["n"] - 1, 1)
        spread = math.sqrt(max(changes["x_v"], 0.0)) * math.sqrt(max(changes["y_v"], 0.0))
        changes["c"] = max(-1.0, min(1.0, changes["cov"] / spread)) if spread else 0.0
        self._take(changes)


E = TypeVar("E", bound=Estimator)


class List(Generic[E]):
    """One estimator per name: the arms of a simple experiment side by side.

    It is built from what ``self.get_theta(key=...)`` answers. Names without a theta start fresh, thetas without a
    name (an arm that was removed) are left out, and equal values share the choice at random.

    Parameters
    ----------
    thetas
        ``{name: theta}``.
    kind
        The class of the estimators: :class:`Mean`, :class:`Proportion`, ...
    names
        The arms.

    Examples
    --------
    >>> arms = List({"red": {"n": 4, "m": 0.25}, "blue": {"n": 2, "m": 0.5}}, Mean, ["red", "blue", "green"])
    >>> arms.max(), arms.min()
    ('blue', 'green')
    >>> arms.count()
    6
    """

    def __init__(self, thetas: Mapping[Any, Theta], kind: Callable[[Theta], E], names: Iterable[Any]) -> None:
        by_name = {str(name): theta for name, theta in (thetas or {}).items()}
        self.names = list(names)
        if min(len({arm_name(name) for name in self.names}), len(set(self.names))) < len(self.names):
            raise ValueError(f"the names {self.names} are not distinct")
        # The store keys thetas by ``str``, which differs from the arm's name for the float 1.0.
        found = {name: by_name.get(arm_name(name)) or by_name.get(str(name)) or {} for name in self.names}
        self.base_list: dict[Any, E] = {name: kind(theta) for name, theta in found.items()}

    def get_dict(self) -> dict[str, dict[str, Any]]:
        """``{name: theta}``."""
        return {arm_name(name): estimator.get_dict() for name, estimator in self.base_list.items()}

    def get_value(self) -> dict[str, float]:
        """``{name: estimate}``."""
        return {arm_name(name): estimator.get_value() for name, estimator in self.base_list.items()}

    def count(self) -> int:
        """How many observations all of them have seen together."""
        return sum(estimator.get_count() for estimator in self.base_list.values())

    def max(self) -> Any:
        """The name with the highest estimate."""
        return self._best([estimator.get_value() for estimator in self.base_list.values()])

    def min(self) -> Any:
        """The name with the lowest estimate."""
        return self._best([-estimator.get_value() for estimator in self.base_list.values()])

    def random(self) -> Any:
        """Any name, each as likely."""
        return _random.choice(self.names)

    def _best(self, values: list[float]) -> Any:
        if spoilt := [name for name, value in zip(self.base_list, values, strict=True) if math.isnan(value)]:
            raise ValueError(f"the estimates of {spoilt} are not numbers; store another theta for them")
        ties = [name for name, tie in zip(self.base_list, leads(values), strict=True) if tie]
        return ties[0] if len(ties) == 1 else _random.choice(ties)
