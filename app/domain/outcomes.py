"""What one row says of its outcome: which arm was taken, with which probability, and the reward as one number.

Simulations, trials, statistics and estimates of other policies all read rows by these three rules.
"""

from __future__ import annotations

import json
from typing import Any

_EXACT = 2**53  # from here on a double does not hold every whole number


def arm_of(action: dict[str, Any]) -> str:
    """Return the name of the arm: the action's ``arm``, else its only field beside the propensity, else all of it.

    >>> arm_of({"arm": "A", "propensity": 0.5}), arm_of({"version": 2, "propensity": 1}), arm_of({"x": 1, "y": [2]})
    ('A', '2', '{"x": 1, "y": [2]}')
    """
    chosen: Any = action.get("arm")
    if chosen is None:
        rest = action
        if "propensity" in action:
            rest = action.copy()
            del rest["propensity"]
        chosen = next(iter(rest.values())) if len(rest) == 1 else rest
    return arm_name(chosen)


def arm_name(arm: Any) -> str:
    """Return the name of an arm, which is the same before the action was JSON and after: that of the policies' theta.

    Text is its own name. A number, a boolean and None have the name that ``str`` gives them, a whole float that of the
    integer, because JSON may give back either. A tuple has the name of the list that JSON makes of it, and a dict is
    named by its JSON.

    >>> [arm_name(arm) for arm in ("$5 off", 7, 1.0, 0.5, True, None, (9, "red"), [9, "red"], {"a": 1})]
    ['$5 off', '7', '1', '0.5', 'True', 'None', "[9, 'red']", "[9, 'red']", '{"a": 1}']
    """
    if type(arm) is str:
        return arm
    return json.dumps(arm) if isinstance(arm, dict) else str(_plain(arm))


def _plain(arm: Any) -> Any:
    if isinstance(arm, list | tuple):
        return [_plain(part) for part in arm]
    if isinstance(arm, float) and arm.is_integer() and abs(arm) < _EXACT:
        return int(arm)
    return arm


def value_of(reward: dict[str, Any]) -> float | None:
    """Return the reward as one number: its ``value``, else its first number; None if it has none.

    A boolean counts as 0 or 1, a list of numbers as their sum.

    >>> value_of({"value": 2}), value_of({"text": "x", "click": True}), value_of({"clicks": [1, 0, 1]}), value_of({})
    (2.0, 1.0, 2.0, None)
    """
    first = reward.get("value")
    if type(first) is int or type(first) is float:
        return float(first)
    for value in (first, *reward.values()):
        if isinstance(value, int | float):
            return float(value)
        if type(value) is list and value and all(isinstance(part, int | float) for part in value):
            return float(sum(value))
    return None


def propensity_of(action: dict[str, Any]) -> float | None:
    """Return the probability with which the action was chosen: its ``propensity``; None if that is not in [0, 1].

    >>> propensity_of({"propensity": 1}), propensity_of({"propensity": True}), propensity_of({"propensity": 1.5})
    (1.0, None, None)
    """
    value = action.get("propensity")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def propensity_fault(action: dict[str, Any]) -> str | None:
    """Return what is wrong with the action's ``propensity``, if it is a number that no probability can be.

    >>> propensity_fault({"propensity": 50}), propensity_fault({"propensity": 0.5}), propensity_fault({})
    ("self.action['propensity'] is 50: expected a probability from 0 to 1", None, None)
    """
    value = action.get("propensity")
    if isinstance(value, bool) or not isinstance(value, int | float) or 0 <= value <= 1:
        return None
    return f"self.action['propensity'] is {value}: expected a probability from 0 to 1"
