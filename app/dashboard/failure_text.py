"""A failing script in words."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.failing import Failing

_MAX_MESSAGE = 120


@dataclass(frozen=True)
class FailureText:
    """``explained`` is how often the script fails, ``problem`` where and why it did so the last time."""

    explained: str
    problem: str

    @classmethod
    def of(cls, failing: Failing) -> FailureText:
        """The words for it.

        >>> FailureText.of(Failing("get_action", 11, 20, "KeyError: 'age'", 3))
        FailureText(explained='get_action failed in 11 of its latest 20 calls.', problem="Line 3: KeyError: 'age'")
        """
        calls = "its only call" if failing.calls == 1 else f"{failing.failed} of its latest {failing.calls} calls"
        where = "" if failing.line is None else f"Line {failing.line}: "
        message = failing.message if len(failing.message) <= _MAX_MESSAGE else f"{failing.message[:_MAX_MESSAGE]}…"
        return cls(f"{failing.script} failed in {calls}.", where + message)
