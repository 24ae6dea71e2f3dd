"""The features of a context: checked, and matched by their names if they have any."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.checks import LARGE, plain_number

Floats = NDArray[np.float64]


class Features(NamedTuple):
    """``x`` has arms in rows and features in columns; ``names`` are the columns' names, None if they have none."""

    x: Floats
    names: list[str] | None


def features(context: Any, arms: list[str]) -> Features:
    """Read the features of each arm from a context.

    Parameters
    ----------
    context
        A sequence of numbers; a mapping of names to numbers; or a mapping of each arm's name to a sequence of its own.
        ``None`` and ``{}`` are one feature, 1.
    arms
        The names of the arms.

    Raises
    ------
    ValueError
        A feature is missing, is no finite number, or is so large (above 1e100) that its square would overflow.

    Examples
    --------
    >>> features([1.0, 0.5], ["a", "b"]).x.tolist()
    [[1.0, 0.5], [1.0, 0.5]]
    >>> features({"age": 30, "adult": True}, ["a"])
    Features(x=array([[ 1., 30.]]), names=['adult', 'age'])
    >>> features({"a": [1, 2], "b": [3, 4]}, ["b", "a"]).x.tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    if context is None or (isinstance(context, Mapping) and not context):
        return Features(np.ones((len(arms), 1)), None)
    if not isinstance(context, Mapping):
        return Features(np.broadcast_to(row := vector(context, "the context"), (len(arms), len(row))), None)
    by_name = {str(key): value for key, value in context.items()}
    if all(np.ndim(value) == 1 for value in by_name.values()):
        return Features(_by_arm(by_name, arms), None)
    names = sorted(by_name)
    row = np.array([_number(by_name[name], f"the context's {name!r}") for name in names])
    return Features(np.broadcast_to(row, (len(arms), len(row))), names)


def in_order(found: Features, known: Iterable[list[str] | None]) -> Features:
    """Hold the features' names against those that theta was learnt with.

    Theta of older versions, and of contexts without names, knows none: names are then taken in their own order.

    Raises
    ------
    ValueError
        A feature is missing or unknown, or theta has names and the context hasn't.
    """
    for names in known:
        if names is None or names == found.names:
            continue
        if found.names is None:
            raise ValueError(f"theta was learnt with the features {names}: the context must be a mapping of these")
        missing, unknown = (sorted(set(a) - set(b)) for a, b in ((names, found.names), (found.names, names)))
        raise ValueError(f"theta was learnt with the features {names}; missing {missing}, unknown {unknown}")
    return found


def vector(values: Any, what: str) -> Floats:
    """A sequence of finite numbers as an array; ``what`` is its name in the error."""
    try:
        row = np.array(values, dtype=float)
    except (TypeError, ValueError):
        row = np.array(np.nan)
    if row.ndim != 1 or not len(row) or not (np.abs(row) <= LARGE).all():
        raise ValueError(f"{what} must be finite numbers up to {LARGE:g}, or such a list per arm; it is {values!r}")
    return row


def _by_arm(rows: Mapping[str, Any], arms: list[str]) -> Floats:
    missing = [arm for arm in arms if arm not in rows]
    if missing:
        raise ValueError(f"the context has no features for the arms {missing}")
    found = [vector(rows[arm], f"the context's features of {arm!r}") for arm in arms]
    if len({len(row) for row in found}) > 1:
        raise ValueError(
            f"the context has {[len(row) for row in found]} features for the arms {arms}: not as many each"
        )
    return np.array(found)


def _number(value: Any, what: str) -> float:
    number = plain_number(value)
    if number is None or not abs(number) <= LARGE:
        raise ValueError(f"{what} is {value!r} and must be a finite number up to {LARGE:g}")
    return number
