"""Checks of what comes in: parameters within their ranges, and numbers that are finite."""

import math
from dataclasses import dataclass
from typing import Any

LARGE = 1e100  # bound of parameters and features that have no natural one: their squares and products stay finite
MOST_VALUES = 190_000  # values, keys and containers of one theta; a call of a script may give back some more


@dataclass(frozen=True)
class Range:
    """The numbers that a parameter may be: from ``low`` to ``high``, without ``low`` itself if ``above``."""

    low: float = -LARGE
    high: float = LARGE
    above: bool = False
    whole: bool = False

    def check(self, name: str, value: Any) -> Any:
        """Return the value as a plain number.

        Raises
        ------
        ValueError
            It is no number or out of the range; the sentence names parameter, value and range.

        Examples
        --------
        >>> Range(0, 1).check("epsilon", 10)
        Traceback (most recent call last):
            ...
        ValueError: epsilon is 10 and must lie between 0 and 1
        """
        number = value if type(value) is float or type(value) is int else plain_number(value)
        if number is None or not (self.low < number if self.above else self.low <= number) or not number <= self.high:
            raise ValueError(f"{name} is {value!r} and must {self}")
        if self.whole and number != int(number):
            raise ValueError(f"{name} is {value!r} and must {self}")
        return int(number) if self.whole else number

    def __str__(self) -> str:
        be = "be a whole number" if self.whole else "lie"
        if not self.above:
            return f"{be} between {self.low:,g} and {self.high:,g}"
        return f"{be} above {self.low:,g}, up to {self.high:,g}"


@dataclass(frozen=True)
class PairRange(Range):
    """A parameter that is two numbers, each within the range."""

    def check(self, name: str, value: Any) -> Any:
        """Return the two numbers as a tuple; raises like :meth:`Range.check`."""
        try:
            first, second = value
        except (TypeError, ValueError):
            raise ValueError(f"{name} is {value!r} and must be two numbers that {self}") from None
        check = super().check
        return check(f"{name}[0]", first), check(f"{name}[1]", second)


def plain_number(value: Any) -> float | None:
    """The value as a float, also from numpy's types; None if it is no number (texts aren't)."""
    if isinstance(value, str | bytes):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def finite(value: Any, what: str = "the reward") -> float:
    """The value as a float. NaN and infinities would spoil theta for ever, so they are refused.

    >>> finite("0.5")
    0.5
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{what} is {number!r} and must be a finite number")
    return number


def fault(value: Any, path: str = "theta") -> str | None:
    """Where in a theta the first number stands that is not finite; None if all are.

    >>> fault({"a": {"n": 1, "b": [0.5, float("nan")]}})
    "theta['a']['b'][1]"
    """
    if type(value) is float:
        return None if math.isfinite(value) else path
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list):
        try:
            if math.isfinite(sum(value)):  # fast, and right unless finite numbers overflow together
                return None
        except (TypeError, OverflowError):
            pass
        items = enumerate(value)
    else:
        return path if value is None or (isinstance(value, float) and not math.isfinite(value)) else None
    return next((found for key, part in items if (found := fault(part, f"{path}[{key!r}]"))), None)
