"""getaction in batches: one frame to the worker, one insert of decisions, then the answers.

Nothing here moves the head. A get_action script that writes theta is handed to the commit lane and run there again,
with the same seed; from then on this experiment's calls go there at once.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.decision import Decision
from app.domain.experiment import Experiment
from app.domain.ids import new_id, seed_of
from app.engine.calls import ActionAnswer, ActionCall
from app.engine.limits import Limits
from app.engine.reports import Reports
from app.engine.runtime import Guilty, Moved, Runtime, now
from app.engine.view import View
from app.sandbox.protocol import Done, Failed, Item
from app.storage.client import Document, time_limit
from app.storage.commits import Commit
from app.storage.store import Store


class ActionBatches:
    """Works off batches of getaction calls of one experiment."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        limits: Limits,
        reports: Reports,
        put_back: Callable[[list[ActionCall], bool], None],
        to_commits: Callable[[ActionCall], None],
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._limits = limits
        self._reports = reports
        self._put_back = put_back
        self._to_commits = to_commits

    async def work(self, calls: list[ActionCall]) -> None:
        """Answer each call, put it back or hand it on."""
        deadline = min(call.deadline for call in calls)
        with time_limit(deadline - now()):
            try:
                await self._runtime.current(self._limits.staleness_seconds)
                outcomes = await self._runtime.run("get_action", action_items(calls), keep=False)
            except Guilty:
                return self._put_back(calls, True)
            except Moved:
                return self._put_back(calls, False)
            await self._settle(calls, outcomes, deadline)

    async def _settle(self, calls: list[ActionCall], outcomes: dict[int, Any], deadline: float) -> None:
        decided: list[tuple[ActionCall, Decision, Done, View]] = []
        put_off: list[ActionCall] = []
        for number, call in enumerate(calls):
            outcome, view = outcomes[number]
            if isinstance(outcome, Failed):
                call.fail(self._reports.report(view.experiment, outcome))
            elif not isinstance(outcome, Done):
                put_off.append(call)
            elif outcome.writes:
                self._to_commits(call)
            else:
                decided.append(
                    (call, decision_of(call, outcome, view.experiment, view.head.seq, view.head.epoch), outcome, view)
                )
        if put_off:
            self._put_back(put_off, False)
        if decided:
            await self._save([d for _, d, _, _ in decided], log_rows(decided), deadline)
        for call, decision, outcome, view in decided:
            call.answer(answer_of(decision, outcome, view.experiment))

    async def _save(self, decisions: list[Decision], logs: list[Document], deadline: float) -> None:
        if logs:  # a call's decision and what it logged come together or not at all
            await self._store.commits.add(Commit(decisions=decisions, logs=logs), deadline)
        else:
            await self._store.decisions.insert(decisions, deadline)


def action_items(calls: list[ActionCall]) -> list[Item]:
    """What the worker needs of each call."""
    return [Item(number, seed_of("getaction", call.id), call.context, {}, {}) for number, call in enumerate(calls)]


def decision_of(call: ActionCall, outcome: Done, experiment: Experiment, seq: int, epoch: int) -> Decision:
    """The row of one answered call; ``seq`` is the theta that it read."""
    date = datetime.now(UTC)
    waits = experiment.advice_id and experiment.delta_hours > 0
    return Decision(
        id=call.id,
        exp_id=experiment.id,
        date=date,
        context=call.context,
        action=outcome.result,
        propensity=_propensity(outcome.result),
        revision=experiment.revision,
        seq=seq,
        epoch=epoch,
        status="pending" if experiment.advice_id else "logged",
        expires_at=date + timedelta(hours=experiment.delta_hours) if waits else None,
        default_reward=experiment.default_reward if waits else None,
    )


def answer_of(decision: Decision, outcome: Done, experiment: Experiment) -> ActionAnswer:
    """What the caller gets."""
    advice_id = decision.id if experiment.advice_id else None
    return ActionAnswer(decision.action, decision.context, advice_id, outcome.debug)


def log_rows(decided: list[tuple[ActionCall, Decision, Done, View]]) -> list[Document]:
    """What the scripts of these calls logged."""
    return [
        log_row(decision.exp_id, data, decision.date, decision.id)
        for _, decision, outcome, _ in decided
        for data in outcome.logs
    ]


def log_row(exp_id: str, data: dict[str, Any], date: datetime, row: str) -> Document:
    """One row of the manual log; ``row`` is the decision or reward whose script wrote it."""
    return {"_id": new_id(), "exp_id": exp_id, "date": date, "row": row, "data": data}


def _propensity(action: dict[str, Any]) -> float | None:
    """The probability of the action, if it names one."""
    value = action.get("propensity")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
