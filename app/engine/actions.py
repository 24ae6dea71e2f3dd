"""getaction in batches: one frame to the worker, one insert of decisions, then the answers.

Nothing here moves the head. A get_action script that writes theta is handed to the commit lane and run there again,
with the same seed; from then on this experiment's calls go there at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.decision import Decision
from app.domain.experiment import Experiment
from app.domain.ids import new_id, seed_of
from app.engine.advices import Advices
from app.engine.calls import ActionAnswer, ActionCall
from app.engine.limits import Limits
from app.engine.reports import Reports
from app.engine.runtime import BatchCrashed, Runtime, StaleView, now
from app.errors import OutcomeUnknown, StoreUnavailable
from app.sandbox.protocol import Done, Failed, Item
from app.storage.client import Document, time_limit
from app.storage.store import Store


@dataclass(frozen=True)
class ExperimentContext:
    """What working off batches takes: the experiment's runtime, and what all experiments share."""

    runtime: Runtime
    store: Store
    limits: Limits
    reports: Reports
    advices: Advices


class ActionBatches:
    """Works off batches of getaction calls of one experiment."""

    def __init__(
        self,
        means: ExperimentContext,
        put_back: Callable[[list[ActionCall], bool], None],
        to_commits: Callable[[ActionCall], None],
    ) -> None:
        self._runtime = means.runtime
        self._store = means.store
        self._limits = means.limits
        self._reports = means.reports
        self._advices = means.advices
        self._put_back = put_back
        self._to_commits = to_commits

    async def work(self, calls: list[ActionCall]) -> None:
        """Answer each call, put it back or hand it on."""
        deadline = min(call.deadline for call in calls)
        with time_limit(deadline - now()):
            try:
                view = await self._runtime.current(self._limits.staleness_seconds)
                calls[:] = await undecided(self._store, view.exp_id, calls, again=False)
                outcomes = await self._runtime.run("get_action", action_items(calls), keep=False) if calls else {}
            except BatchCrashed:
                return self._put_back(calls, True)
            except StaleView:
                return self._put_back(calls, False)
            await self._settle(calls, outcomes, deadline)

    async def _settle(self, calls: list[ActionCall], outcomes: dict[int, Any], deadline: float) -> None:
        decided: list[Decided] = []
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
                decision = decision_of(call, outcome, view.experiment, view.head.seq, view.head.epoch)
                decided.append(Decided(call, decision, outcome))
        if put_off:
            self._put_back(put_off, False)
        # Those handed on or put back must not be answered with the fate of the others.
        calls[:] = [each.call for each in decided]
        if decided:
            await self._save(decided, deadline)
            await self._answer(decided)

    async def _save(self, decided: list[Decided], deadline: float) -> None:
        decisions = [each.decision for each in decided]
        logs = [row for each in decided for row in each.log_rows()]
        if logs:  # a call's decision and what it logged come together or not at all
            await self._store.commits.add(decisions, logs, deadline)
        else:
            size = sum(each.call.size for each in decided)
            await self._store.decisions.insert(decisions, deadline, size)

    async def _answer(self, decided: list[Decided]) -> None:
        """Answer each call; where the same request may have been made elsewhere at once, with what is in the log."""
        requested = [each for each in decided if each.call.request_id is not None]
        stored: dict[str, Decision] = {}
        if requested:
            try:
                ids = [each.decision.id for each in requested]
                stored = await self._store.decisions.find(decided[0].decision.exp_id, ids)
            except StoreUnavailable:  # there is a row, but perhaps not this one
                for each in requested:
                    each.call.fail(OutcomeUnknown())
        for each in decided:
            decision = stored.get(each.decision.id, each.decision)
            self._advices.put(decision)
            each.call.answer(answer_of(decision, each.outcome.debug))


@dataclass
class Decided:
    """A call, the row it makes and what its script gave back."""

    call: ActionCall
    decision: Decision
    outcome: Done

    def log_rows(self) -> list[Document]:
        """What its script logged."""
        decision = self.decision
        return [log_row(decision.exp_id, data, decision.date, decision.id) for data in self.outcome.logs]


async def undecided(store: Store, exp_id: str, calls: list[ActionCall], again: bool) -> list[ActionCall]:
    """The calls for which there is no decision yet; the others, repeated requests, are answered.

    A request id is first made to stand for a row, so that whoever repeats the call makes the same row or finds it.
    ``again`` looks for the rows of all calls, as after a commit of unclear outcome.
    """
    rows = {call.request_id: call.id for call in calls if call.request_id is not None}
    if rows:
        claimed = await store.requests.claim(exp_id, "getaction", rows)
        for call in calls:
            call.id = claimed.get(call.request_id or "", call.id)
    asked = [call.id for call in calls if again or rows.get(call.request_id or "", call.id) != call.id]
    decisions = await store.decisions.find(exp_id, asked) if asked else {}
    for call in calls:
        if call.id in decisions:
            call.answer(answer_of(decisions[call.id], []))
    return [call for call in calls if call.id not in decisions]


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
        propensity=propensity_of(outcome.result),
        revision=experiment.revision,
        seq=seq,
        epoch=epoch,
        status="pending" if experiment.advice_id else "logged",
        expires_at=date + timedelta(hours=experiment.delta_hours) if waits else None,
        default_reward=experiment.default_reward if waits else None,
        request_id=call.request_id,
    )


def answer_of(decision: Decision, debug: list[Any]) -> ActionAnswer:
    """What the caller gets."""
    advice_id = None if decision.status == "logged" else decision.id
    return ActionAnswer(decision.action, decision.context, advice_id, debug)


def log_row(exp_id: str, data: dict[str, Any], date: datetime, row: str) -> Document:
    """One row of the manual log; ``row`` is the decision or reward whose script wrote it."""
    return {"_id": new_id(), "exp_id": exp_id, "date": date, "row": row, "data": data}


def propensity_of(action: dict[str, Any]) -> float | None:
    """The probability of the action, if it names one."""
    value = action.get("propensity")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
