"""Bodies in JSON, decoded in two steps: first the names at the top, then each value when it is asked for.

Decoding a body of a few megabytes into lists takes seconds of the event loop. The first step only finds where each
value begins and ends, so the length of a value is known before it is decoded, and what nobody asks for never is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from app.errors import InvalidParameter
from app.http.arguments import ROW_BYTES, json_value

Raw = msgspec.Raw
_ABSENT = Raw(b"")
_QUOTE = ord('"')
_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Fields(Mapping[str, Any]):
    """A JSON object whose values are decoded when they are asked for.

    Asking for a value that is malformed, or that is no text and longer than 256 KiB, raises ``InvalidParameter``.
    ``given`` are parameters from elsewhere, which count where the object has no such name.
    """

    def __init__(self, raw: Mapping[str, Raw], given: Mapping[str, Any] | None = None) -> None:
        self._raw = raw
        self._decoded: dict[str, Any] = dict(given or {})
        for name in raw.keys() & self._decoded.keys():
            del self._decoded[name]

    def __getitem__(self, name: str) -> Any:
        if name not in self._decoded:
            content = memoryview(self._raw[name])
            # Text may be longer: it costs little to decode, and whoever takes it has a bound of its own.
            if len(content) > ROW_BYTES and content[0] != _QUOTE:
                raise InvalidParameter(name, f"expected at most {ROW_BYTES >> 10} KiB")
            self._decoded[name] = json_value(name, bytes(content))
        return self._decoded[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._raw, **self._decoded})

    def __len__(self) -> int:
        return len(self._raw.keys() | self._decoded.keys())

    def open(self, name: str) -> None:
        """Have the object at this name, if it is one, answered as ``Fields`` too: its values may be long texts."""
        content = self._raw.get(name, _ABSENT)
        if _is_object(content):
            self._decoded[name] = _first_step(name, content, _fields)

    def items_at(self, name: str, most: int) -> list[Raw]:
        """The items of an array of 1 to ``most``, each still to be decoded; raise ``InvalidParameter`` otherwise."""
        try:
            items = msgspec.structs.astuple(_array(most)(self._raw.get(name, _ABSENT)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            items = ()
        found = [item for item in items if item is not _ABSENT]
        if not found:
            raise InvalidParameter(name, f"expected an array of 1 to {most:,} objects")
        return found


def json_body(body: bytes, *names: str, given: Mapping[str, Any] | None = None) -> Fields:
    """A request's body as a JSON object; an empty one is ``{}``. With ``names``, whatever else it has is skipped."""
    if not body:
        return Fields({}, given)
    return _first_step("body", body, _known(names) if names else _fields, given)


def json_item(raw: Raw, *names: str) -> Fields | None:
    """An item of a batch as a JSON object; None if it is none."""
    return _first_step("items", raw, _known(names)) if _is_object(raw) else None


def _is_object(raw: Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"{"


def _first_step(parameter: str, content: Any, decode: Any, given: Mapping[str, Any] | None = None) -> Fields:
    try:
        raw = decode(content)
    except msgspec.ValidationError:
        raise InvalidParameter(parameter, "expected a JSON object") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidParameter(parameter, f"expected JSON: {error}") from None
    except RecursionError:
        raise InvalidParameter(parameter, "expected JSON that is nested less deeply") from None
    return Fields(raw, given)


@cache
def _known(names: tuple[str, ...]) -> Any:
    """A decoder that keeps the values of these names only: a million others cost no objects."""
    struct = msgspec.defstruct("Known", [(name, Raw, _ABSENT) for name in names], gc=False)
    decode = msgspec.json.Decoder(struct).decode

    def found(content: Any) -> dict[str, Raw]:
        values = decode(content)
        return {name: raw for name in names if (raw := getattr(values, name)) is not _ABSENT}

    return found


@cache
def _array(most: int) -> Any:
    """A decoder of arrays that stops at the first item too many, where one of lists would first read millions."""
    items = [(f"item_{number}", Raw, _ABSENT) for number in range(most)]
    struct = msgspec.defstruct("Items", items, array_like=True, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(struct).decode
