"""The name under which theta keeps an arm: the same before and after the action has been JSON."""

import math
from typing import Any

import numpy as np

EXACT = 2.0**53  # from here on a double no longer holds every whole number, and JSON in a browser neither


def arm_name(arm: Any) -> str:
    """The name of an arm.

    A string is its own name. A number, a boolean and ``None`` have the name that ``str`` gives them, but a whole float
    that of the integer, because JSON may come back with either. A tuple has the name of the list that JSON makes of it.

    Raises
    ------
    ValueError
        The arm cannot pass through JSON and be the same again.

    Examples
    --------
    >>> [arm_name(arm) for arm in ("$5 off", 7, 1.0, 0.5, True, None, (12, "blue"))]
    ['$5 off', '7', '1', '0.5', 'True', 'None', "[12, 'blue']"]
    """
    return arm if type(arm) is str else str(_plain(arm))


def hashable(arm: Any) -> Any:
    """The arm as it can be a key: lists become tuples."""
    return tuple(map(hashable, arm)) if isinstance(arm, list | tuple) else arm


def _plain(arm: Any) -> Any:
    if isinstance(arm, str):
        return str.__str__(arm)  # the text itself of numpy's strings and of members of an enumeration
    if isinstance(arm, np.generic):
        arm = arm.item()
    if arm is None or isinstance(arm, bool):
        return arm
    if isinstance(arm, int):
        return int(arm)
    if isinstance(arm, float) and math.isfinite(arm):
        return int(arm) if arm.is_integer() and abs(arm) < EXACT else float(arm)
    if isinstance(arm, list | tuple):
        return [_plain(part) for part in arm]
    raise ValueError(f"an arm must be a string, a finite number, a boolean, None or a tuple of these; it is {arm!r}")
