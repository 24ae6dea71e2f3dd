"""Streaming estimators: summaries of a stream that take constant memory.

Each is built from its theta (``{}`` for a fresh start, what :meth:`get_dict` gave for a later one), moves by one
observation with ``update`` and answers with ``get_value``. The recurrences are Welford's: they add small corrections
to a mean instead of keeping sums of squares, so a million rewards around 1e12 keep their variance.
"""

import math
import random as _random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

Theta = Mapping[str, Any]


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
        """Add ``value``."""
        self.value["n"] = int(self.value["n"]) + int(value)

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
        theta = self.value
        theta["n"] = n = int(theta["n"]) + 1
        mean = float(theta["m"])
        theta["m"] = mean + (float(value) - mean) / n


class Proportion(Estimator):
    """A running proportion of successes.

    A mean of zeros and ones. ``p * n`` is the number of successes, which is all a Bernoulli policy needs to know.

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
        theta = self.value
        theta["n"] = n = int(theta["n"]) + 1
        p = float(theta["p"])
        theta["p"] = p + (float(value) - p) / n


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
        theta = self.value
        theta["n"] = n = int(theta["n"]) + 1
        mean = float(theta["x_bar"])
        before = float(value) - mean
        theta["x_bar"] = mean = mean + before / n
        theta["s"] = float(theta["s"]) + before * (float(value) - mean)
        if n > 1:
            theta["v"] = theta["s"] / (n - 1)


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
        theta, x, y = self.value, float(value["x"]), float(value["y"])
        theta["n"] = n = int(theta["n"]) + 1
        surprise = x - float(theta["x_bar"])
        theta["x_bar"] = float(theta["x_bar"]) + surprise / n
        theta["y_bar"] = y_bar = float(theta["y_bar"]) + (y - float(theta["y_bar"])) / n
        if n > 1:
            cov = float(theta["cov"])
            theta["cov"] = cov + (surprise * (y - y_bar) - cov) / (n - 1)


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
        theta = self.value
        before = {axis: float(value[axis]) - float(theta[f"{axis}_bar"]) for axis in "xy"}
        super().update(value)
        for axis in "xy":
            theta[f"{axis}_s"] = float(theta[f"{axis}_s"]) + before[axis] * (float(value[axis]) - theta[f"{axis}_bar"])
            theta[f"{axis}_v"] = theta[f"{axis}_s"] / max(theta["n"] - 1, 1)
        spread = math.sqrt(theta["x_v"]) * math.sqrt(theta["y_v"])
        theta["c"] = max(-1.0, min(1.0, theta["cov"] / spread)) if spread else 0.0


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
        self.base_list: dict[Any, E] = {name: kind(by_name.get(str(name), {})) for name in self.names}

    def get_dict(self) -> dict[str, dict[str, Any]]:
        """``{name: theta}``."""
        return {str(name): estimator.get_dict() for name, estimator in self.base_list.items()}

    def get_value(self) -> dict[str, float]:
        """``{name: estimate}``."""
        return {str(name): estimator.get_value() for name, estimator in self.base_list.items()}

    def count(self) -> int:
        """How many observations all of them have seen together."""
        return sum(estimator.get_count() for estimator in self.base_list.values())

    def max(self) -> Any:
        """The name with the highest estimate."""
        return self._extreme(max)

    def min(self) -> Any:
        """The name with the lowest estimate."""
        return self._extreme(min)

    def random(self) -> Any:
        """Any name, each as likely."""
        return _random.choice(self.names)

    def _extreme(self, choose: Callable[[Iterable[float]], float]) -> Any:
        values = {name: estimator.get_value() for name, estimator in self.base_list.items()}
        best = choose(values.values())
        ties = [name for name, value in values.items() if value == best]
        return ties[0] if len(ties) == 1 else _random.choice(ties)
