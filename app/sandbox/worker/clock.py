"""The time limit of scripts that run one after another by the thousand, as they do in a simulation.

Setting a timer for each would cost more than some scripts do, so one alarm goes off every 20 ms and looks at which
script is running. It counts processor time, as simulations give way to everything else on the machine; a script that
sleeps is stopped by the time on the wall, which gives it several times as much.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Collection
from math import inf
from types import CodeType, FrameType

_STRIKE_SECONDS = 0.02
PATIENCE = 4


class TimeUp(BaseException):
    """The script ran longer than it may."""


class Clock:
    """Used with ``with``; raises ``TimeUp`` again and again in a turn that lasts too long, never in ``spared`` code.

    Whoever runs a script sets ``turn`` to a number of its own before, and to 0 after. Whether it ran into the limit is
    then in ``struck``, even if it caught what was raised.
    """

    def __init__(self, seconds: float, spared: Collection[CodeType]) -> None:
        self.struck = False
        self._seconds = seconds
        self._spared = spared
        self.turn = self._seen = 0
        self._processor_until = self._wall_until = inf

    def __enter__(self) -> Clock:
        self._before = signal.signal(signal.SIGALRM, self._strike)
        signal.setitimer(signal.ITIMER_REAL, _STRIKE_SECONDS, _STRIKE_SECONDS)
        return self

    def __exit__(self, *exc: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        if not self.turn:
            return
        if self.turn != self._seen:
            self._seen = self.turn
            self._processor_until = time.process_time() + self._seconds
            self._wall_until = time.monotonic() + PATIENCE * self._seconds
        elif time.process_time() >= self._processor_until or time.monotonic() >= self._wall_until:
            self.struck = True
            if frame is not None and frame.f_code not in self._spared:
                raise TimeUp
