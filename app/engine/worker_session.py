"""What the worker of an experiment knows, and the frames that tell it more."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from app.domain.theta import ThetaKey
from app.sandbox.host import reply_validation
from app.sandbox.host.channel import Worker, WorkerEnded, WorkerLost, WorkerTooSlow
from app.sandbox.protocol import Done, Entry, Failed, Item, Missed, PutOff, RangeName, RunScript, encode

Outcome = Done | Failed | PutOff
# What scheduling and the pipe may add to the time that scripts are given, before the worker counts as hung.
_GRACE_SECONDS = 1.0


class BatchCrashed(Exception):
    """The worker died while running a batch. Rerun its calls one at a time to find the one that kills it."""


@dataclass
class WorkerUpdate:
    """What the next frame tells the worker before it runs anything; see ``RunScript``."""

    settle: str = ""
    clear: bool = False
    programs: dict[str, dict[str, str] | None] = field(default_factory=dict)
    thetas: dict[ThetaKey, bytes | None] = field(default_factory=dict)
    complete: set[RangeName] = field(default_factory=set)
    too_wide: set[RangeName] = field(default_factory=set)


class WorkerSession:
    """Gathers what the worker must hear, and sends it with the next frame.

    Whatever changes in the cache is told here, so that the worker holds a part of the cache and never more.
    """

    def __init__(self, exp_id: str, call_seconds: float) -> None:
        self.worker: Worker | None = None
        self._exp_id = exp_id
        self._call_seconds = call_seconds
        self._update = WorkerUpdate()
        self._keeper: Worker | None = None

    def meet(self, worker: Worker, programs: dict[str, dict[str, str] | None]) -> None:
        """Talk to this worker from now on. One that is new here holds nothing yet; the update begins anew for it."""
        if worker is not self.worker:
            self.worker = worker
            self._update = WorkerUpdate(programs=programs)

    def forget(self) -> None:
        """Talk to nobody until the next ``meet``."""
        self.worker = None

    def tell(self, key: ThetaKey, theta: bytes | None) -> None:
        """Tell it a theta."""
        self._update.thetas[key] = theta

    def tell_range(self, wanted: RangeName, entries: Iterable[Entry]) -> None:
        """Tell it all thetas of a range, and that these are all."""
        for entry in entries:
            self._update.thetas[ThetaKey(entry.exp_id, entry.name, entry.key, entry.value)] = entry.theta
        self._update.complete.add(wanted)

    def tell_too_wide(self, wanted: RangeName) -> None:
        """Tell it that a range is too wide to be read."""
        self._update.too_wide.add(wanted)

    def tell_program(self, exp_id: str, scripts: dict[str, str] | None) -> None:
        """Tell it the scripts of a nested experiment, or with None that it may not call it."""
        self._update.programs[exp_id] = scripts

    def clear(self) -> None:
        """Let it forget all thetas, and what was about to be told: nobody would tell the worker when it changes."""
        self._update = WorkerUpdate(settle=self._update.settle, clear=True, programs=self._update.programs)

    def begin_keeping(self, worker: Worker) -> None:
        """Let what the next frames write wait in the worker; what waited before and was not committed is dropped."""
        self._keeper = worker
        self._update.settle = self._update.settle or "drop"

    def committed(self, writes: dict[ThetaKey, bytes | None]) -> None:
        """What was kept is committed: let the worker promote it, or tell it, if that worker is no longer ours."""
        # The worker that has the writes waiting may have been killed or replaced since, and what is about to be
        # sent may hold what was so before: then the writes are sent.
        waiting = self._keeper is self.worker and self.worker is not None and self.worker.alive
        for key, theta in writes.items():
            if waiting:
                self._update.thetas.pop(key, None)
            else:
                self._update.thetas[key] = theta
        if waiting:
            self._update.settle = "promote"

    async def run(
        self, worker: Worker, script: str, items: list[Item], keep: bool, known: Collection[str]
    ) -> list[Outcome | Missed]:
        """Send one frame; return the outcome of each item, which name ``known`` experiments only.

        Raises ``BatchCrashed`` if the worker is lost with several items, ``WorkerEnded`` if it died with one. A worker
        that is lost otherwise is the fault of its one item, which fails.
        """
        update, self._update = self._update, WorkerUpdate()
        seconds = self._call_seconds
        frame = RunScript(
            exp_id=self._exp_id,
            script=script,
            items=items,
            seconds=seconds,
            keep=keep,
            clear=update.clear,
            settle=update.settle,
            programs=update.programs,
            thetas=[Entry(*key, theta) for key, theta in update.thetas.items()],
            complete=list(update.complete),
            too_wide=list(update.too_wide),
        )
        allowed = seconds * (1 if len(items) == 1 else 2) + _GRACE_SECONDS
        try:
            return await reply_validation.read(await worker.request(encode(frame), allowed), items, known)
        except (WorkerLost, reply_validation.Forged) as error:
            worker.kill()
            if len(items) > 1:
                raise BatchCrashed from error
            if isinstance(error, WorkerEnded):
                raise
            return [harmful(script, items[0], error, seconds)]


def harmful(script: str, item: Item, error: Exception, seconds: float) -> Failed:
    """Return the failure of an item that cost its worker."""
    if isinstance(error, WorkerTooSlow):
        message = f"{script} ran longer than {seconds:g} s and had to be killed"
    elif isinstance(error, WorkerEnded):
        message = f"{script} ended the process it ran in, or used up its memory"
    else:
        message = f"{script} made its process give an answer that no script may give: {error}"[:500]
    return Failed(item.number, script, message, None, None, True)
