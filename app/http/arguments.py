"""Reading what callers send: JSON objects within bounds, text, booleans; errors name the parameter."""

from __future__ import annotations

from typing import Any

import msgspec

from app.domain.values import fault
from app.errors import InvalidParameter

ROW_BYTES = 256 * 2**10
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def json_value(parameter: str, text: str | bytes) -> Any:
    """The JSON value in ``text``; ``NaN``, ``Infinity`` and numbers like ``1e999`` are no JSON."""
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidParameter(parameter, f"expected JSON: {error}") from None
    except RecursionError:
        raise InvalidParameter(parameter, "expected JSON that is nested less deeply") from None


def json_object(parameter: str, value: Any) -> dict[str, Any]:
    """``value``, or the JSON in it if it is text, as an object that can be stored."""
    if isinstance(value, str):
        if len(value) > ROW_BYTES:
            raise InvalidParameter(parameter, f"expected at most {ROW_BYTES >> 10} KiB")
        value = json_value(parameter, value)
    if not isinstance(value, dict):
        raise InvalidParameter(parameter, f"expected a JSON object, got {json_type(value)}")
    problem = fault(value)
    if problem:
        raise InvalidParameter(parameter, f"cannot be stored: {problem}")
    if len(_encode(value)) > ROW_BYTES:
        raise InvalidParameter(parameter, f"expected at most {ROW_BYTES >> 10} KiB")
    return value


def text(parameter: str, value: Any, longest: int = 1_000) -> str:
    """``value`` as text that is not empty."""
    if value is None or value == "":
        raise InvalidParameter(parameter, "is missing")
    if not isinstance(value, str):
        raise InvalidParameter(parameter, f"expected text, got {json_type(value)}")
    if len(value) > longest:
        raise InvalidParameter(parameter, f"expected at most {longest} characters")
    return value


def whole(parameter: str, value: Any, least: int, most: int) -> int:
    """Return the value as a whole number within bounds, both included; it may come as text or as ``3.0``.

    >>> whole("limit", " 20 ", 1, 100)
    20
    """
    number: Any = value
    if isinstance(value, str):
        digits = value.strip().removeprefix("-")
        # Python refuses to read more than 4,300 digits; nothing here needs more than 19.
        number = int(value) if digits.isdecimal() and digits.isascii() and len(digits) < 20 else None
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if type(number) is not int or not least <= number <= most:
        raise InvalidParameter(parameter, f"expected a whole number from {least:,} to {most:,}")
    return number


def json_type(value: Any) -> str:
    """What JSON calls the type of a value.

    >>> json_type([1]), json_type(None)
    ('an array', 'null')
    """
    if value is None:
        return "null"
    names = {
        dict: "an object",
        list: "an array",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "something else")
