"""What rewards are about: the context and action of each, and which of them were accepted before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.decision import Decision, Reward
from app.domain.ids import seed_of
from app.domain.requests import RewardAnswer, RewardRequest
from app.domain.values import same_json
from app.engine.advices import Advices
from app.engine.batch import Batch
from app.engine.calls import RewardCall
from app.engine.view import View
from app.errors import AdviceExpired, AdviceNotOffered, AdviceUnknown, RequestIdReused, RewardRefused
from app.sandbox.protocol import Item
from app.storage.store import Store


@dataclass
class ResolvedReward:
    """A reward call with the context and action it is about.

    ``remembered`` says that the decision came from this server's memory: another server may have settled it since.
    """

    call: RewardCall
    context: dict[str, Any]
    action: dict[str, Any]
    remembered: bool = False


class RewardResolver:
    """Finds out what reward calls are about. Answers those that want no reward any more."""

    def __init__(self, store: Store, advices: Advices) -> None:
        self._store = store
        self._advices = advices

    async def resolve(self, view: View, batch: Batch[RewardCall], again: bool) -> list[ResolvedReward]:
        """Return context and action of each call that still wants its reward, in order; the others are answered.

        ``again`` looks for the rewards of all calls in the log, as after a commit of unclear outcome.
        """
        await self._answer_requested(view, batch)
        calls = batch.calls
        advices = [call.request.advice_id for call in calls if call.request.advice_id is not None]
        remembered = {} if again else self._advices.take(view.exp_id, advices)
        decisions = await self._decisions(view, advices, remembered)
        # Rewards that are there: of advices no longer pending, and our own after a commit of unclear outcome.
        asked = [call.id for call in calls if again or _is_settled(decisions.get(call.request.advice_id or ""))]
        rewards = await self._store.rewards.find(asked) if asked else {}
        resolved: list[ResolvedReward] = []
        for call in calls:
            advice_id = call.request.advice_id
            decision = decisions.get(advice_id or "")
            if advice_id is None:
                if call.id in rewards:
                    batch.answer(call, answer_of_reward(call, rewards[call.id], duplicate=False))
                else:
                    resolved.append(ResolvedReward(call, call.request.context or {}, call.request.action or {}))
            elif not view.experiment.advice_id and decision is None:
                batch.fail(call, AdviceNotOffered())
            elif decision is None or decision.status == "logged":
                batch.fail(call, AdviceUnknown(advice_id))
            elif not _is_settled(decision):
                resolved.append(ResolvedReward(call, decision.context, decision.action, advice_id in remembered))
            else:
                _answer_settled(batch, call, rewards.get(call.id))
        return resolved

    async def _decisions(self, view: View, ids: list[str], known: dict[str, Decision]) -> dict[str, Decision]:
        """Return the decisions of these advices: those that are known, and the others from the action log."""
        asked = [each for each in ids if each not in known]
        found = known | await self._store.decisions.find(view.exp_id, asked) if asked else known
        if unknown := [each for each in asked if each not in found]:
            found |= await self._store.decisions.find_linearizable(view.exp_id, unknown)
        return found

    async def _answer_requested(self, view: View, batch: Batch[RewardCall]) -> None:
        """Answer the calls whose request ids have brought a reward before."""
        asked = {call.request.request_id: call for call in batch.calls if call.request.request_id is not None}
        rows = await self._store.requests.find(view.exp_id, "setreward", list(asked)) if asked else {}
        rewards = await self._store.rewards.find(list(rows.values())) if rows else {}
        for request_id, row in rows.items():
            if row in rewards:
                _answer_requested(batch, asked[request_id], rewards[row])


def reward_items(resolved: list[ResolvedReward]) -> list[Item]:
    """Return what the worker needs of each call."""
    return [
        Item(number, seed_of("setreward", each.call.id), each.context, each.action, each.call.request.reward)
        for number, each in enumerate(resolved)
    ]


def answer_of_reward(call: RewardCall, reward: Reward, *, duplicate: bool) -> RewardAnswer:
    """Return what the caller gets."""
    return RewardAnswer(reward.context, reward.action, call.request.reward, duplicate)


def _is_settled(decision: Decision | None) -> bool:
    """Whether it has a reward. One whose default reward failed has none, and takes a real one."""
    return decision is not None and decision.status in ("rewarded", "defaulted")


def _answer_settled(batch: Batch[RewardCall], call: RewardCall, accepted: Reward | None) -> None:
    """Answer a call whose decision no longer waits."""
    if call.request.default:
        batch.answer(call, None)  # it was settled in time, one way or the other
    elif accepted is None or accepted.default:
        batch.fail(call, AdviceExpired(call.request.advice_id or ""))
    elif same_json(accepted.reward, call.request.reward):
        batch.answer(call, answer_of_reward(call, accepted, duplicate=True))
    else:
        batch.fail(call, RewardRefused())


def _answer_requested(batch: Batch[RewardCall], call: RewardCall, accepted: Reward) -> None:
    """Answer a call whose request id has brought a reward: the same call again is a retry, any other is refused."""
    differs = _difference(accepted, call.request)
    if differs is None:
        batch.answer(call, answer_of_reward(call, accepted, duplicate=True))
    else:
        batch.fail(call, RequestIdReused(call.request.request_id or "", differs, accepted.date))


def _difference(accepted: Reward, request: RewardRequest) -> str | None:
    """Return in what a request differs from an accepted reward; None if it repeats it."""
    if accepted.advice_id != request.advice_id:
        return "advice"
    if request.advice_id is None and not same_json(accepted.context, request.context or {}):
        return "context"
    if request.advice_id is None and not same_json(accepted.action, request.action or {}):
        return "action"
    return None if same_json(accepted.reward, request.reward) else "reward"
