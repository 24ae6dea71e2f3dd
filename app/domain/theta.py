"""The name of one theta document."""

from __future__ import annotations

from typing import NamedTuple


class ThetaKey(NamedTuple):
    """Which theta: of which experiment, under which name, key and value; ``None`` where the script gave none."""

    exp_id: str
    name: str
    key: str | None = None
    value: str | None = None


def joined(*parts: str | None) -> str:
    r"""The parts with colons between them, colons inside them escaped; a missing part ends the list.

    >>> joined("arm", "a:b"), joined("arm", None), joined("1", "0") == joined("10", None)
    ('arm:a\\:b', 'arm', False)
    """
    present = [part for part in parts if part is not None]
    return ":".join(part.replace("\\", "\\\\").replace(":", "\\:") for part in present)
