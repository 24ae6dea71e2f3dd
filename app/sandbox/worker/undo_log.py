"""Theta in a simulation: changed in place, with an undo log in case the draw fails.

The worker holds every theta, so nothing can be missing but programs. Draws are made one after another, so a list of
earlier values replaces the layers of a live call.
"""

from __future__ import annotations

from app.sandbox.protocol import WRITES
from app.sandbox.worker.script import TOO_WIDE, Holdings, Keys, ScriptCall, Values
from app.sandbox.worker.to_json import Kept, NotStorable


class UndoLog(ScriptCall):
    """The scripts of one draw after another, on the thetas that the worker holds."""

    def __init__(self, holdings: Holdings) -> None:
        super().__init__(holdings, sees_waiting=False)
        self._names = holdings.base.names
        self._before: list[tuple[Values, str | None, Kept | None]] = []

    def one(self, exp_id: str, name: str, key: str | None, value: str | None) -> Kept | None:
        """Return one theta, None if there is none."""
        keys = self._names.get((exp_id, name))
        values = keys.get(key) if keys else None
        return values.get(value) if values else None

    def range(self, exp_id: str, name: str, key: str | None, every_key: bool) -> Keys:
        """Return all thetas under a key, or under every key."""
        keys = self._names.get((exp_id, name), {})
        if every_key:
            found = {one: values for one, values in keys.items() if values}
        else:
            found = {key: keys[key]} if keys.get(key) else {}
        if self.range_max is not None and sum(map(len, found.values())) > self.range_max:
            raise NotStorable(TOO_WIDE)
        return found

    def write(self, exp_id: str, name: str, key: str | None, value: str | None, theta: Kept | None) -> None:
        """Set one theta; None deletes it."""
        self.written += 1
        if self.written > WRITES:
            raise NotStorable(f"a call may write {WRITES:,} thetas")
        values = self._names.setdefault((exp_id, name), {}).setdefault(key, {})
        # The log before the change, because an alarm may go off between them.
        self._before.append((values, value, values.get(value)))
        if theta is None:
            values.pop(value, None)
        else:
            values[value] = theta

    def forget(self) -> None:
        """Drop what scripts logged or showed: a simulation keeps neither."""
        self.logs, self.debug, self.printed = [], [], ""

    def keep(self) -> None:
        """Keep the draw: its changes can no longer be undone."""
        self._before.clear()

    def take_back(self) -> None:
        """Undo every change since the last ``keep``."""
        for values, value, theta in reversed(self._before):
            if theta is None:
                values.pop(value, None)
            else:
                values[value] = theta
        self._before.clear()
        self.forget()
        self.missing_programs = []
        self.depth = 0
