"""Failures of scripts, stored for their owners beside the way of a call, and never in a flood."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from datetime import UTC, datetime

from app.domain.experiment import Experiment
from app.domain.ids import new_id
from app.domain.rows import ErrorRow
from app.errors import ScriptFailed, StoreUnavailable
from app.sandbox.protocol import Failed
from app.storage.store import Store

ROWS_PER_SECOND = 10


class Reports:
    """Collects failures and stores at most ten a second for one experiment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: list[ErrorRow] = []
        self._stored: dict[str, tuple[int, int]] = {}
        self._task: asyncio.Task[None] | None = None

    def report(self, experiment: Experiment, failed: Failed) -> ScriptFailed:
        """Note the failure; return the error to answer the call with."""
        if self._has_room(experiment.id):
            self._rows.append(
                ErrorRow(
                    id=new_id(),
                    exp_id=experiment.id,
                    date=datetime.now(UTC),
                    revision=experiment.revision,
                    script=failed.script,
                    line=failed.line,
                    message=failed.message,
                    source=failed.source,
                )
            )
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._save(), context=Context())
        return ScriptFailed(failed.script, failed.message, failed.line, failed.source)

    async def flush(self) -> None:
        """Wait until everything noted is stored."""
        while self._task is not None:
            await self._task

    async def _save(self) -> None:
        try:
            while self._rows:
                rows, self._rows = self._rows, []
                await self._store.script_errors.insert(rows)
        except StoreUnavailable:
            pass  # the calls themselves were answered; their errors are not worth waiting for
        finally:
            self._task = None

    def _has_room(self, exp_id: str) -> bool:
        second = int(time.monotonic())
        if len(self._stored) > 1_000:
            self._stored = {e: seen for e, seen in self._stored.items() if seen[0] == second}
        last, count = self._stored.get(exp_id, (second, 0))
        count = count + 1 if last == second else 1
        self._stored[exp_id] = (second, count)
        return count <= ROWS_PER_SECOND
