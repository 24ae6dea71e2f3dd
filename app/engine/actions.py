"""getaction in batches: one frame to the worker, one insert of decisions, then the answers.

Nothing here moves the head. A get_action script that writes theta is handed to the queue of commits and run there
again, with the same seed; from then on this experiment's calls go there at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.decision import Decision
from app.domain.experiment import Experiment
from app.domain.ids import new_id, seed_of
from app.domain.outcomes import propensity_of
from app.domain.requests import ActionAnswer
from app.domain.rows import LogRow
from app.domain.values import same_json
from app.engine.advices import Advices
from app.engine.batch import Batch
from app.engine.calls import ActionCall
from app.engine.limits import Limits
from app.engine.reports import Reports
from app.engine.runtime import Runtime, now
from app.engine.thetas import StaleView
from app.engine.worker_session import BatchCrashed
from app.errors import OutcomeUnknown, RequestIdReused, StoreUnavailable
from app.sandbox.protocol import Done, Failed, Item
from app.storage.client import time_limit
from app.storage.store import Store


@dataclass(frozen=True)
class ExperimentContext:
    """Dependencies of the batch workers of one experiment: its runtime, and what all experiments share."""

    runtime: Runtime
    store: Store
    limits: Limits
    reports: Reports
    advices: Advices


class ActionBatches:
    """Works off batches of getaction calls of one experiment."""

    def __init__(self, context: ExperimentContext, to_commits: Callable[[ActionCall], None]) -> None:
        self._runtime = context.runtime
        self._store = context.store
        self._limits = context.limits
        self._reports = context.reports
        self._advices = context.advices
        self._to_commits = to_commits

    async def work(self, batch: Batch[ActionCall]) -> None:
        """Answer each call, put it back or hand it on."""
        with time_limit(batch.deadline - now()):
            try:
                view = await self._runtime.current(self._limits.staleness_seconds)
                await answer_decided(self._store, view.exp_id, batch, again=False)
                calls = batch.calls
                outcomes = await self._runtime.run("get_action", action_items(calls), keep=False) if calls else {}
            except BatchCrashed:
                return batch.put_back(batch.calls, singly=True)
            except StaleView:
                return batch.put_back(batch.calls)
            await self._settle(batch, calls, outcomes)

    async def _settle(self, batch: Batch[ActionCall], calls: list[ActionCall], outcomes: dict[int, Any]) -> None:
        decided: list[Decided] = []
        put_off: list[ActionCall] = []
        for number, call in enumerate(calls):
            outcome, view = outcomes[number]
            if isinstance(outcome, Failed):
                batch.fail(call, self._reports.report(view.experiment, outcome))
            elif not isinstance(outcome, Done):
                put_off.append(call)
            elif outcome.writes:
                batch.remove(call)
                self._to_commits(call)
            else:
                decision = decision_of(call, outcome, view.experiment, view.head.seq, view.head.epoch)
                decided.append(Decided(call, decision, outcome))
        batch.put_back(put_off)
        if decided:
            await self._save(decided, batch.deadline)
            await self._answer(batch, decided)

    async def _save(self, decided: list[Decided], deadline: float) -> None:
        decisions = [each.decision for each in decided]
        logs = [row for each in decided for row in each.log_rows()]
        if logs:  # a call's decision and what it logged come together or not at all
            await self._store.commits.add(decisions, logs, deadline)
        else:
            size = sum(each.call.request.size for each in decided)
            await self._store.decisions.insert(decisions, deadline, size)

    async def _answer(self, batch: Batch[ActionCall], decided: list[Decided]) -> None:
        """Answer each call; where the same request may have been made elsewhere at once, with what is in the log."""
        requested = [each for each in decided if each.call.request.request_id is not None]
        stored: dict[str, Decision] = {}
        if requested:
            try:
                ids = [each.decision.id for each in requested]
                stored = await self._store.decisions.find(decided[0].decision.exp_id, ids)
            except StoreUnavailable:  # there is a row, but perhaps not this one
                for each in requested:
                    batch.fail(each.call, OutcomeUnknown())
                decided = [each for each in decided if each.call.request.request_id is None]
        for each in decided:
            decision = stored.get(each.decision.id, each.decision)
            self._advices.put(decision)
            answer_from(batch, each.call, decision, each.outcome.debug)


@dataclass
class Decided:
    """A call, the row it makes and what its script gave back."""

    call: ActionCall
    decision: Decision
    outcome: Done

    def log_rows(self) -> list[LogRow]:
        """Return what its script logged."""
        decision = self.decision
        return [log_row(decision.exp_id, data, decision.date, decision.id) for data in self.outcome.logs]


async def answer_decided(store: Store, exp_id: str, batch: Batch[Any], again: bool) -> None:
    """Answer the calls of the batch for which there is a decision already: repeated requests.

    A request id is first made to stand for a row, so that whoever repeats the call makes the same row or finds it.
    ``again`` looks for the rows of all calls, as after a commit of unclear outcome.
    """
    calls: list[ActionCall] = batch.calls
    rows = {call.request.request_id: call.id for call in calls if call.request.request_id is not None}
    if rows:
        claimed = await store.requests.claim(exp_id, "getaction", rows)
        for call in calls:
            call.id = claimed.get(call.request.request_id or "", call.id)
    asked = [call.id for call in calls if again or rows.get(call.request.request_id or "", call.id) != call.id]
    decisions = await store.decisions.find(exp_id, asked) if asked else {}
    for call in calls:
        if call.id in decisions:
            answer_from(batch, call, decisions[call.id], [])


def action_items(calls: list[ActionCall]) -> list[Item]:
    """Return what the worker needs of each call."""
    return [
        Item(number, seed_of("getaction", call.id), call.request.context, {}, {}) for number, call in enumerate(calls)
    ]


def decision_of(call: ActionCall, outcome: Done, experiment: Experiment, seq: int, epoch: int) -> Decision:
    """Return the row of one answered call; ``seq`` is the theta that it read."""
    date = datetime.now(UTC)
    waits = experiment.advice_id and experiment.delta_hours > 0
    return Decision(
        id=call.id,
        exp_id=experiment.id,
        date=date,
        context=call.request.context,
        action=outcome.result,
        propensity=propensity_of(outcome.result),
        revision=experiment.revision,
        seq=seq,
        epoch=epoch,
        status="pending" if experiment.advice_id else "logged",
        expires_at=date + timedelta(hours=experiment.delta_hours) if waits else None,
        default_reward=experiment.default_reward if waits else None,
        request_id=call.request.request_id,
    )


def answer_of(decision: Decision, debug: list[Any]) -> ActionAnswer:
    """Return what the caller gets."""
    advice_id = None if decision.status == "logged" else decision.id
    return ActionAnswer(decision.action, decision.context, advice_id, debug)


def answer_from(batch: Batch[Any], call: ActionCall, decision: Decision, debug: list[Any]) -> None:
    """Answer a call with the decision of its row, unless that is another call's with the same request id."""
    if same_json(decision.context, call.request.context):
        batch.answer(call, answer_of(decision, debug))
    else:
        batch.fail(call, RequestIdReused(call.request.request_id or "", "context", decision.date))


def log_row(exp_id: str, data: dict[str, Any], date: datetime, row: str) -> LogRow:
    """Return a new row of the manual log; ``row`` is the decision or reward whose script wrote it."""
    return LogRow(new_id(), exp_id, date, row, data)
