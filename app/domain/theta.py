"""The name of one theta document, and many of them as scripts get them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


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


def as_theta(thetas: Iterable[tuple[ThetaKey, dict[str, Any]]]) -> dict[str, Any]:
    """The thetas of one name as ``get_theta()`` gives them: by key and value, or the bare one where it is the only one.

    >>> as_theta([(ThetaKey("e", "_theta", "arm", "a"), {"n": 1}), (ThetaKey("e", "_theta", "arm", "b"), {"n": 2})])
    {'arm:a': {'n': 1}, 'arm:b': {'n': 2}}
    >>> as_theta([(ThetaKey("e", "_theta"), {"n": 3})])
    {'n': 3}
    """
    found = list(thetas)
    if len(found) == 1 and found[0][0].key is None:
        return dict(found[0][1])
    return {joined(key.key, key.value): theta for key, theta in found}
