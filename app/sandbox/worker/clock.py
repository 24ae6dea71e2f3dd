"""The time limit of scripts that run one after another by the thousand, as they do in a simulation.

Setting a timer for each would cost more than some scripts do, so one alarm goes off every 20 ms and checks which script
is running. Processor time is counted, because simulations have the lowest priority on the machine. A script that sleeps
is stopped by elapsed time, of which it has ``PATIENCE`` times as much.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Collection
from math import inf
from types import CodeType, FrameType

_ALARM_SECONDS = 0.02
PATIENCE = 4


class TimeUp(BaseException):
    """The script ran longer than it may."""


class Clock:
    """A context manager that raises ``TimeUp`` every 20 ms in a turn that lasts too long, never in ``spared`` code.

    The caller sets ``turn`` to another positive number before each script, and to 0 after it. ``expired`` then says
    whether the script ran into the limit, even if it caught the exception.
    """

    def __init__(self, seconds: float, spared: Collection[CodeType]) -> None:
        self.expired = False
        self._seconds = seconds
        self._spared = spared
        self.turn = self._seen = 0
        self._processor_until = self._elapsed_until = inf

    def __enter__(self) -> Clock:
        self._before = signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, _ALARM_SECONDS, _ALARM_SECONDS)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        if not self.turn:
            return
        if self.turn != self._seen:
            self._seen = self.turn
            self._processor_until = time.process_time() + self._seconds
            self._elapsed_until = time.monotonic() + PATIENCE * self._seconds
        elif time.process_time() >= self._processor_until or time.monotonic() >= self._elapsed_until:
            self.expired = True
            if frame is not None and frame.f_code not in self._spared:
                raise TimeUp
