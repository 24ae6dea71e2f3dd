"""Batches that commit: setreward, and getaction where the script learns.

A batch is run on one view, then written in one transaction that moves the head from exactly that place. If it has
moved, nothing was written, and the batch is run again on what is there now.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.domain.decision import Decision, Reward
from app.domain.experiment import Head
from app.domain.ids import seed_of
from app.domain.theta import ThetaKey
from app.domain.values import same_json
from app.engine.actions import ExperimentContext, action_items, answer_of, decision_of, log_row, undecided
from app.engine.calls import ActionCall, Call, RewardAnswer, RewardCall
from app.engine.runtime import BatchCrashed, StaleView, now
from app.engine.view import View
from app.errors import (
    AdviceExpired,
    AdviceNotOffered,
    AdviceUnknown,
    Overloaded,
    RewardRefused,
    StoreUnavailable,
)
from app.sandbox.protocol import Done, Failed, Item
from app.storage.client import Document, time_limit
from app.storage.commits import Commit
from app.storage.heads import HeadMove
from app.storage.thetas import ThetaWrite
from app.storage.transactions import Conflict, Interrupted

_decode = msgspec.msgpack.Decoder().decode
_PAUSE = 0.002
_MAX_PAUSE = 0.02


class CommitBatches:
    """Works off batches of one experiment's calls that change theta or accept a reward."""

    def __init__(self, means: ExperimentContext, put_back: Callable[[list[Call], bool], None]) -> None:
        self._runtime = means.runtime
        self._store = means.store
        self._limits = means.limits
        self._reports = means.reports
        self._advices = means.advices
        self._put_back = put_back

    async def work(self, calls: list[Call]) -> None:
        """Answer each call or put it back; after three conflicts with ever longer pauses and ever smaller batches."""
        deadline = min(call.deadline for call in calls)
        conflicts = 0
        with time_limit(deadline - now()):
            # No older than an action may be: a batch whose scripts all fail commits nothing that would show it is old.
            await self._runtime.current(self._limits.staleness_seconds)
            while calls:
                try:
                    return await self._try(calls, deadline, again=conflicts > 0)
                except BatchCrashed:
                    return self._put_back(calls, True)
                except (Conflict, StaleView) as error:
                    conflicts += 1
                    if now() > deadline:
                        raise (StoreUnavailable if isinstance(error, Interrupted) else Overloaded)() from None
                if conflicts > 3:
                    # Short, so that of two servers on one experiment the loser keeps a chance to come first.
                    await asyncio.sleep(min(_MAX_PAUSE, _PAUSE * 2 ** (conflicts - 3)) * (0.5 + random.random()))
                    half = max(1, len(calls) // 2)
                    if calls[half:]:
                        self._put_back(calls[half:], False)
                    del calls[half:]

    async def _try(self, calls: list[Call], deadline: float, again: bool) -> None:
        """One attempt; ``calls`` is left with those that a conflict of this attempt must run again."""
        view = self._runtime.view or await self._runtime.refresh()
        given: dict[str, ResolvedReward] = {}
        if isinstance(calls[0], RewardCall):
            script = "set_reward"
            given = await self._given(view, [call for call in calls if isinstance(call, RewardCall)], again)
            calls[:] = [call for call in calls if call.id in given]
            items = _reward_items(given)
        else:
            script = "get_action"
            actions = [call for call in calls if isinstance(call, ActionCall)]
            calls[:] = await undecided(self._store, view.exp_id, actions, again)
            items = action_items([call for call in calls if isinstance(call, ActionCall)])
        if not calls:
            return
        if again:
            # Last of all: the shorter it takes from reading the heads to moving them, the fewer others come between.
            await self._runtime.refresh()
        outcomes = await self._runtime.run(script, items, keep=True)
        basis = self._runtime.view
        if basis is None or any(not view.agrees(basis) for _, view in outcomes.values()):
            raise StaleView
        batch = Batch(basis)
        failures: list[tuple[Call, Failed]] = []
        put_off: list[Call] = []
        # In the order in which they ran, which is not that of the calls if some had to be run again.
        for number, (outcome, _) in outcomes.items():
            call = calls[number]
            if isinstance(outcome, Failed) and isinstance(call, RewardCall) and given[call.id].remembered:
                put_off.append(call)  # it may have its reward from another server: now the action log is asked
            elif isinstance(outcome, Failed):
                failures.append((call, outcome))
            elif not isinstance(outcome, Done):
                put_off.append(call)
            elif isinstance(call, ActionCall):
                batch.add_action(call, outcome)
            elif isinstance(call, RewardCall):
                batch.add_reward(call, given[call.id], outcome)
        if put_off:
            self._put_back(put_off, False)
        # Those that are put back must not be run again by a conflict of the others. Those that failed must be: they
        # failed on what the others wrote, and if that does not come to be, perhaps they do not fail.
        calls[:] = [call for call in calls if call not in put_off]
        if batch.answers:
            await self._commit(batch, basis, deadline)
        for call, failed in failures:
            call.fail(self._reports.report(basis.experiment, failed))

    async def _commit(self, batch: Batch, basis: View, deadline: float) -> None:
        await self._runtime.know(batch.writes)
        stored = {key for key in batch.writes if (held := self._runtime.cache.get(key)) and held.stored}
        await self._store.commits.write(batch.commit(stored), deadline)
        heads = [dataclasses.replace(basis.heads[e], seq=basis.heads[e].seq + n) for e, n in batch.steps.items()]
        self._runtime.committed(basis, heads, {key: theta for key, (theta, _) in batch.writes.items()})
        for decision in batch.decisions:
            self._advices.put(decision)
        for call, answer in batch.answers:
            call.answer(answer)

    async def _given(self, view: View, calls: list[RewardCall], again: bool) -> dict[str, ResolvedReward]:
        """Context and action of each call that still wants its reward; the others are answered."""
        accepted = await self._requested(view, calls)
        calls = [call for call in calls if call.request_id is None or call.request_id not in accepted]
        advices = [call.advice_id for call in calls if call.advice_id is not None]
        held = {} if again else self._advices.take(view.exp_id, advices)
        decisions = await self._decisions(view, advices, held)
        # Rewards that are there: of advices no longer pending, and our own after a commit of unclear outcome.
        asked = [call.id for call in calls if again or _is_settled(decisions.get(call.advice_id or ""))]
        rewards = await self._store.rewards.find(asked) if asked else {}
        given: dict[str, ResolvedReward] = {}
        for call in calls:
            decision = decisions.get(call.advice_id or "")
            if call.advice_id is None:
                if call.id in rewards:
                    call.answer(_answer(call, rewards[call.id], duplicate=False))
                else:
                    given[call.id] = ResolvedReward(call, call.context or {}, call.action or {})
            elif not view.experiment.advice_id and decision is None:
                call.fail(AdviceNotOffered())
            elif decision is None or decision.status == "logged":
                call.fail(AdviceUnknown(call.advice_id))
            elif not _is_settled(decision):
                remembered = call.advice_id in held
                given[call.id] = ResolvedReward(call, decision.context, decision.action, remembered)
            else:
                _answer_settled(call, rewards.get(call.id))
        return given

    async def _decisions(self, view: View, ids: list[str], known: dict[str, Decision]) -> dict[str, Decision]:
        """The decisions of these advices: those that are remembered, and the others from the action log."""
        asked = [each for each in ids if each not in known]
        found = known | await self._store.decisions.find(view.exp_id, asked) if asked else known
        if unknown := [each for each in asked if each not in found]:
            found |= await self._store.decisions.find_linearizable(view.exp_id, unknown)
        return found

    async def _requested(self, view: View, calls: list[RewardCall]) -> dict[str, Reward]:
        """The rewards that earlier calls with the same request ids brought; this answers those calls."""
        asked = {call.request_id: call for call in calls if call.request_id is not None}
        rows = await self._store.requests.find(view.exp_id, "setreward", list(asked)) if asked else {}
        rewards = await self._store.rewards.find(list(rows.values())) if rows else {}
        accepted = {request_id: rewards[row] for request_id, row in rows.items() if row in rewards}
        for request_id, reward in accepted.items():
            call = asked[request_id]
            if same_json(reward.reward, call.reward):
                call.answer(_answer(call, reward, duplicate=True))
            else:
                call.fail(RewardRefused("request_id"))
        return accepted


@dataclass
class ResolvedReward:
    """A reward call with the context and action it is about."""

    call: RewardCall
    context: dict[str, Any]
    action: dict[str, Any]
    remembered: bool = False


@dataclass
class Batch:
    """What a batch will write: the steps of each head, the last write of each theta, the rows."""

    basis: View
    steps: dict[str, int] = field(default_factory=dict)
    writes: dict[ThetaKey, tuple[bytes | None, int]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)
    events: list[Document] = field(default_factory=list)
    logs: list[Document] = field(default_factory=list)
    answers: list[tuple[Call, object]] = field(default_factory=list)

    def add_reward(self, call: RewardCall, given: ResolvedReward, outcome: Done) -> None:
        """Accept one reward."""
        seq, date = self._step(call, outcome), datetime.now(UTC)
        reward = Reward(
            id=call.id,
            exp_id=self.basis.exp_id,
            seq=seq,
            date=date,
            context=given.context,
            action=given.action,
            reward=call.reward,
            revision=self.basis.experiment.revision,
            advice_id=call.advice_id,
            request_id=call.request_id,
            default=call.default,
        )
        self.rewards.append(reward)
        self._log(outcome, date, call.id)
        self.answers.append((call, _answer(call, reward, duplicate=False)))

    def add_action(self, call: ActionCall, outcome: Done) -> None:
        """Make one decision whose script may have written theta."""
        seq = self._step(call, outcome)
        decision = decision_of(call, outcome, self.basis.experiment, seq - 1, self.basis.head.epoch)
        self.decisions.append(decision)
        if any(write.exp_id == self.basis.exp_id for write in outcome.writes):
            self.events.append(self._event(self.basis.exp_id, seq, "get_action", call.id))
        self._log(outcome, decision.date, call.id)
        self.answers.append((call, answer_of(decision, outcome.debug)))

    def commit(self, stored: set[ThetaKey]) -> Commit:
        """The transaction's content."""
        heads = self.basis.heads
        return Commit(
            moves=[self._move(heads[exp_id], steps) for exp_id, steps in self.steps.items()],
            claims=self._claims(),
            requests={(r.exp_id, r.request_id): r.id for r in self.rewards if r.request_id is not None},
            decisions=self.decisions,
            rewards=self.rewards,
            thetas=[
                ThetaWrite(key, heads[key.exp_id].epoch, seq, None if theta is None else _decode(theta), key in stored)
                for key, (theta, seq) in self.writes.items()
            ],
            events=self.events,
            logs=self.logs,
            size=sum(call.size for call, _ in self.answers) + sum(len(each or b"") for each, _ in self.writes.values()),
        )

    def _claims(self) -> dict[str, list[str]]:
        """The advices that get a reward, by what becomes of them."""
        claims: dict[str, list[str]] = {}
        for reward in self.rewards:
            if reward.advice_id is not None:
                claims.setdefault("defaulted" if reward.default else "rewarded", []).append(reward.id)
        return claims

    def _move(self, head: Head, steps: int) -> HeadMove:
        own = head.exp_id == self.basis.exp_id and self.rewards
        return HeadMove(head, steps, len(self.rewards) if own else 0, self.rewards[-1].date if own else None)

    def _step(self, call: Call, outcome: Done) -> int:
        """Move every head that the item touched on by one; its own new seq.

        A nested experiment's head moves even if its theta was only read: that is what makes two commits that each
        read what the other writes exclude one another.
        """
        for exp_id in {self.basis.exp_id, *outcome.touched} & self.basis.heads.keys():
            self.steps[exp_id] = self.steps.get(exp_id, 0) + 1
        for write in outcome.writes:
            key = ThetaKey(write.exp_id, write.name, write.key, write.value)
            self.writes[key] = (write.theta, self._seq(write.exp_id))
        for exp_id in {write.exp_id for write in outcome.writes} - {self.basis.exp_id}:
            self.events.append(self._event(exp_id, self._seq(exp_id), "nested", call.id))
        return self._seq(self.basis.exp_id)

    def _seq(self, exp_id: str) -> int:
        return self.basis.heads[exp_id].seq + self.steps[exp_id]

    def _event(self, exp_id: str, seq: int, kind: str, row: str) -> Document:
        return {
            "_id": f"{exp_id}:{seq}",
            "exp_id": exp_id,
            "seq": seq,
            "date": datetime.now(UTC),
            "kind": kind,
            "caller": self.basis.exp_id,
            "row": row,
        }

    def _log(self, outcome: Done, date: datetime, row: str) -> None:
        self.logs += [log_row(self.basis.exp_id, data, date, row) for data in outcome.logs]


def _reward_items(given: dict[str, ResolvedReward]) -> list[Item]:
    return [
        Item(number, seed_of("setreward", each.call.id), each.context, each.action, each.call.reward)
        for number, each in enumerate(given.values())
    ]


def _is_settled(decision: Decision | None) -> bool:
    return decision is not None and decision.status not in ("pending", "logged")


def _answer_settled(call: RewardCall, accepted: Reward | None) -> None:
    """Answer a call whose decision no longer waits: the same reward again is a retry, any other is refused."""
    if call.default:
        call.answer(None)  # it was settled in time, one way or the other
    elif accepted is None or accepted.default:
        call.fail(AdviceExpired(call.advice_id or ""))
    elif same_json(accepted.reward, call.reward):
        call.answer(_answer(call, accepted, duplicate=True))
    else:
        call.fail(RewardRefused("advice_id"))


def _answer(call: RewardCall, reward: Reward, duplicate: bool) -> RewardAnswer:
    return RewardAnswer(reward.context, reward.action, call.reward, duplicate)
