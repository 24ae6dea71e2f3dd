"""What a batch will write, gathered call by call in the order in which the calls ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from app.domain.decision import Decision, Reward
from app.domain.events import ThetaEvent
from app.domain.experiment import Head
from app.domain.rows import LogRow
from app.domain.theta import ThetaKey
from app.engine.actions import answer_of, decision_of, log_row
from app.engine.calls import ActionCall, AnyCall
from app.engine.rewards import ResolvedReward, answer_of_reward
from app.engine.view import View
from app.sandbox.protocol import Done
from app.storage.commits import Commit
from app.storage.heads import HeadMove
from app.storage.thetas import ThetaWrite

_decode = msgspec.msgpack.Decoder().decode


@dataclass
class CommitPlan:
    """The steps of each head, the last write of each theta with its seq, and the rows."""

    basis: View
    steps: dict[str, int] = field(default_factory=dict)
    writes: dict[ThetaKey, tuple[bytes | None, int]] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[Reward] = field(default_factory=list)
    events: list[ThetaEvent] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    answers: list[tuple[AnyCall, object]] = field(default_factory=list)

    def add_reward(self, resolved: ResolvedReward, outcome: Done) -> None:
        """Accept one reward."""
        call, request = resolved.call, resolved.call.request
        seq, date = self._step(call, outcome), datetime.now(UTC)
        reward = Reward(
            id=call.id,
            exp_id=self.basis.exp_id,
            seq=seq,
            date=date,
            context=resolved.context,
            action=resolved.action,
            reward=request.reward,
            revision=self.basis.experiment.revision,
            advice_id=request.advice_id,
            request_id=request.request_id,
            default=request.default,
        )
        self.rewards.append(reward)
        self._log(outcome, date, call.id)
        self.answers.append((call, answer_of_reward(call, reward, duplicate=False)))

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
        """Return what is to be stored; ``stored`` are the thetas that have a document already."""
        heads = self.basis.heads
        size = sum(call.request.size for call, _ in self.answers)
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
            size=size + sum(len(theta or b"") for theta, _ in self.writes.values()),
        )

    def _claims(self) -> dict[str, list[str]]:
        """Return the advices that get a reward, by the status they get."""
        claims: dict[str, list[str]] = {}
        for reward in self.rewards:
            if reward.advice_id is not None:
                claims.setdefault("defaulted" if reward.default else "rewarded", []).append(reward.id)
        return claims

    def _move(self, head: Head, steps: int) -> HeadMove:
        own = head.exp_id == self.basis.exp_id and self.rewards
        return HeadMove(head, steps, len(self.rewards) if own else 0, self.rewards[-1].date if own else None)

    def _step(self, call: AnyCall, outcome: Done) -> int:
        """Move every head that the call touched on by one; return the call's own new seq.

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

    def _event(self, exp_id: str, seq: int, kind: str, row: str) -> ThetaEvent:
        return ThetaEvent(exp_id, seq, datetime.now(UTC), kind, self.basis.exp_id, row)

    def _log(self, outcome: Done, date: datetime, row: str) -> None:
        self.logs += [log_row(self.basis.exp_id, data, date, row) for data in outcome.logs]
