"""Holds what the engines answered and what the database holds against the sequential model, step by step."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

from app.domain.experiment import Experiment
from app.domain.values import same_json
from app.engine.limits import Limits
from app.errors import (
    AdviceExpired,
    AdviceUnknown,
    OutcomeUnknown,
    Overloaded,
    RequestIdReused,
    RewardRefused,
    ScriptFailed,
    StoreUnavailable,
    ThetaNotThere,
)
from tests.engine.model import Raised, Ran, Sequential, State, decide, learn
from tests.engine.sides import Act, Edit, Outcome, Reset, Reward, Seen, TimeOut

# getaction, and what fails, may be so far behind the other side.
STALENESS_SECONDS = Limits().staleness_seconds
_NOT_KEPT = StoreUnavailable | Overloaded
_AWAY = StoreUnavailable | Overloaded | OutcomeUnknown


class Follower:
    """Follows one program: after each step the model takes what was accepted, in the order of seqs."""

    def __init__(self, experiments: list[Experiment], seen: Seen) -> None:
        self.ids = [experiment.id for experiment in experiments]
        self.models = {experiment.id: Sequential(experiment) for experiment in experiments}
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.overdue: set[str] = set()
        self.seen = seen
        self._known: list[tuple[float, dict[str, int]]] = []  # when a seq was certainly committed
        # The newest seq that each side has acknowledged, before this step and with it.
        self._acknowledged: dict[tuple[int, str], int] = {}
        self._next_acknowledged: dict[tuple[int, str], int] = {}

    def follow(self, outcomes: list[Outcome], seen: Seen, now: float, *, faulty: bool) -> None:
        """Take over what the step did; an AssertionError where it is not what one server would have done."""
        self.before, self.seen, self.outcomes = self.seen, seen, outcomes
        self.first = {exp_id: model.now.seq for exp_id, model in self.models.items()}
        self._nothing_old_changed()
        self._note_overdue()
        self.decided = {exp_id: self._new("decisions", exp_id) for exp_id in self.ids}
        outer, inner = self.ids
        self.edits = {exp_id: self._edits(exp_id) for exp_id in self.ids}
        while self._has_next(outer):
            self._take(outer)
        while self._has_next(inner):
            self._take(inner)
        for exp_id in self.ids:
            assert self.models[exp_id].now.seq == seen.heads[exp_id]["seq"]
            for decision in self.decided[exp_id]:
                self._check_decision(exp_id, decision)
        for outcome in outcomes:
            self._check_answer(outcome, faulty)
        self._check_counts_of_edits()
        self._check_database()
        self._remember(now)

    # The order of commits ------------------------------------------------------------------------------------------

    def _new(self, collection: str, exp_id: str) -> list[dict[str, Any]]:
        old = {row["_id"] for row in self.before.of(collection, exp_id)}
        return [row for row in self.seen.of(collection, exp_id) if row["_id"] not in old]

    def _nothing_old_changed(self) -> None:
        changing = ("status", "expires_at")
        for collection in ("rewards", "events", "logs", "decisions", "revisions"):
            for exp_id in self.ids:
                now = {row["_id"]: row for row in self.seen.of(collection, exp_id)}
                for row in self.before.of(collection, exp_id):
                    assert row["_id"] in now, f"{collection}: {row} is gone"
                    kept = {name: value for name, value in now[row["_id"]].items() if name not in changing}
                    assert kept == {name: value for name, value in row.items() if name not in changing}

    def _note_overdue(self) -> None:
        for exp_id in self.ids:
            made = {row["_id"]: row["date"] for row in self.seen.of("decisions", exp_id)}
            for row in self.seen.of("decisions", exp_id):
                if row["expires_at"] < made[row["_id"]]:
                    self.overdue.add(row["_id"])

    def _edits(self, exp_id: str) -> set[int]:
        """The seqs of this step's edits, which stand in no row: gaps that make every row's revision right."""
        first, last = self.first[exp_id], self.seen.heads[exp_id]["seq"]
        logged = {row["seq"]: row for name in ("rewards", "events") for row in self._new(name, exp_id)}
        assert all(first < seq <= last for seq in logged), "a row stands where an earlier one did, or behind the head"
        rows = [row for name in ("rewards", "events") for row in self._new(name, exp_id)]
        assert len(rows) == len(logged), "two rows have one seq"
        gaps = set(range(first + 1, last + 1)) - logged.keys()
        # A getaction in the lane of commits moves the head even if it wrote nothing.
        moved = {decision["seq"] + 1 for decision in self.decided[exp_id]}
        old = self.models[exp_id].now.revision
        for edits in combinations(sorted(gaps), self.seen.heads[exp_id]["revision"] - old):
            right = all(
                row["revision"] == old + sum(edit <= row["seq"] for edit in edits)
                for row in [*self._new("rewards", exp_id), *self.decided[exp_id]]
                if row["seq"] >= first
            )
            if right and gaps - set(edits) <= moved:
                return set(edits)
        raise AssertionError(f"nothing explains the gaps {gaps} in the order of commits of {exp_id}")

    def _has_next(self, exp_id: str) -> bool:
        return self.models[exp_id].now.seq < self.seen.heads[exp_id]["seq"]

    def _take(self, exp_id: str) -> None:
        """Apply the next commit of an experiment."""
        model = self.models[exp_id]
        seq = model.now.seq + 1
        reward = next((row for row in self.seen.of("rewards", exp_id) if row["seq"] == seq), None)
        event = next((row for row in self.seen.of("events", exp_id) if row["seq"] == seq), None)
        if reward is not None:
            self._take_reward(exp_id, reward)
        elif event is not None and event["kind"] == "get_action":
            decision = next(row for row in self.decided[exp_id] if row["_id"] == event["row"])
            assert decision["seq"] == seq - 1
            ran = self._ran(lambda: decide(self.models, exp_id, model.now, decision["context"], decision["_id"]))
            assert ran.writes
            model.write(ran.writes)
        elif event is not None and event["kind"] == "reset":
            count = model.reset(event.get("key"), event.get("value"))
            named = None if "key" not in event else int(event["value"])
            fitting = [o for o in self._of(Reset, exp_id) if o.op.user == named and not isinstance(o.error, _NOT_KEPT)]
            assert any(o.error is not None or o.answer == count for o in fitting), "nobody asked for this reset"
        elif seq in self.edits[exp_id]:
            revision = model.now.revision + 1
            model.move(revision=revision)
            (row,) = (row for row in self.seen.of("revisions", exp_id) if row["revision"] == revision)
            model.scripts[revision] = {name: row[name] for name in ("get_action", "set_reward")}
        else:
            assert event is None, f"{event} is out of order"
            model.move()

    def _take_reward(self, exp_id: str, row: dict[str, Any]) -> None:
        """Run set_reward where the model stands; the experiment that it calls is brought to the same moment first."""
        model, (_, inner) = self.models[exp_id], self.ids
        nested = [one for one in self._new("events", inner) if one["kind"] == "nested" and one["row"] == row["_id"]]
        if exp_id != inner:
            for event in nested:
                while self.models[inner].now.seq < event["seq"] - 1:
                    self._take(inner)
                assert self.models[inner].now.seq == event["seq"] - 1, "two experiments disagree about the order"
        states = {one: each.now for one, each in self.models.items()}
        assert row["revision"] == model.now.revision
        ran = self._ran(lambda: learn(self.models, states, exp_id, row["context"], row["action"], row["reward"]))
        model.write(ran.writes)
        assert bool(ran.nested) == bool(nested)
        for one, writes in ran.nested.items():
            self.models[one].write(writes)
        self._log(exp_id, row["_id"], ran)

    @staticmethod
    def _ran(run: Any) -> Ran:
        try:
            return run()  # type: ignore[no-any-return]
        except Raised as error:
            raise AssertionError("a call was accepted whose script raises") from error

    def _log(self, exp_id: str, row: str, ran: Ran) -> None:
        self.logs.setdefault(exp_id, []).extend({"row": row, "data": data} for data in ran.logs)

    # Answers -------------------------------------------------------------------------------------------------------

    def _of(self, kind: type, exp_id: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if type(outcome.op) is kind and outcome.exp_id == exp_id]

    def _check_decision(self, exp_id: str, row: dict[str, Any]) -> None:
        (asked,) = (o for o in self._of(Act, exp_id) if o.tag == row["context"]["tag"])
        assert row["context"] == asked.context
        assert row.get("request_id") == asked.request
        state = self.models[exp_id].states[row["seq"]]
        assert (row["epoch"], row["revision"]) == (state.epoch, state.revision)
        assert row["seq"] >= self._floor(asked), f"{asked} was decided on a theta that is too old"
        ran = self._ran(lambda: decide(self.models, exp_id, state, row["context"], row["_id"]))
        assert row["action"] == ran.action, f"another action than that of the theta at {row['seq']}"
        learned = [one for one in self.seen.of("events", exp_id) if one.get("row") == row["_id"]]
        assert bool(ran.writes) == bool(learned)
        self._log(exp_id, row["_id"], ran)

    def _check_answer(self, outcome: Outcome, faulty: bool) -> None:
        if isinstance(outcome.error, _AWAY):
            assert faulty, f"{outcome} although nothing was wrong"
        check = {Act: self._check_act, Reward: self._check_reward, Edit: self._check_edit, Reset: self._check_reset}
        if isinstance(outcome.op, TimeOut):
            self._check_time_out(outcome)
        else:
            check[type(outcome.op)](outcome)

    def _check_act(self, outcome: Outcome) -> None:
        rows = self.seen.of("decisions", outcome.exp_id)
        mine = [row for row in rows if row["context"]["tag"] == outcome.tag]
        if isinstance(outcome.error, ScriptFailed):
            assert not mine
            assert outcome.context["kind"] in ("fails", "dies")
        elif isinstance(outcome.error, RequestIdReused):
            assert not mine
            assert any(row.get("request_id") == outcome.request for row in rows)
        elif outcome.error is not None:
            assert isinstance(outcome.error, _AWAY)
            assert isinstance(outcome.error, OutcomeUnknown) or not mine, f"{outcome} was kept"
        else:
            (row,) = (row for row in rows if row["_id"] == outcome.answer.advice_id)
            assert (row["action"], row["context"]) == (outcome.answer.action, outcome.answer.context)
            if outcome.request is None:
                assert mine == [row]
            else:
                assert [one for one in rows if one.get("request_id") == outcome.request] == [row]
            if row in self._new("decisions", outcome.exp_id) and mine:
                self._acknowledge(outcome, row["seq"])

    def _check_reward(self, outcome: Outcome) -> None:
        before = self._standing(outcome, self.before.of("rewards", outcome.exp_id))
        standing = self._standing(outcome, self.seen.of("rewards", outcome.exp_id))
        status = {row["_id"]: row["status"] for row in self.seen.of("decisions", outcome.exp_id)}.get(outcome.row or "")
        reward = {"r": outcome.op.r}
        answer, error = outcome.answer, outcome.error
        if answer is not None:
            same = [row for row in standing if same_json(row["reward"], reward)]
            assert any((row["context"], row["action"]) == (answer.context, answer.action) for row in same)
            assert answer.duplicate or not before
            if not answer.duplicate:
                self._acknowledge(outcome, min(row["seq"] for row in same))
        elif isinstance(error, RewardRefused):
            assert any(not same_json(row["reward"], reward) for row in standing)
        elif isinstance(error, RequestIdReused):
            (first,) = (row for row in standing if row.get("request_id") == outcome.request)
            assert not (same_json(first["reward"], reward) and self._is_about(outcome, first))
        elif isinstance(error, AdviceExpired):
            assert status == "defaulted"
        elif isinstance(error, AdviceUnknown):
            assert status is None
        elif isinstance(error, ScriptFailed):
            assert not before
            assert self._may_raise(outcome, *self._about(outcome), reward), f"{outcome}, but the script does not raise"
        else:
            assert isinstance(error, _AWAY), error

    def _standing(self, outcome: Outcome, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rewards that stand where this one would: of its request id, of its advice, or its own."""
        return [
            row
            for row in rows
            if (outcome.request is not None and row.get("request_id") == outcome.request)
            or self._is_about(outcome, row)
        ]

    def _is_about(self, outcome: Outcome, row: dict[str, Any]) -> bool:
        return bool(row.get("advice_id") == outcome.row if outcome.row else self._is_own(outcome, row))

    @staticmethod
    def _is_own(outcome: Outcome, row: dict[str, Any]) -> bool:
        return bool(row["context"]["tag"] == outcome.tag)

    def _about(self, outcome: Outcome) -> tuple[dict[str, Any], dict[str, Any]]:
        if outcome.row is None:
            return outcome.context, {}
        (row,) = (row for row in self.seen.of("decisions", outcome.exp_id) if row["_id"] == outcome.row)
        return row["context"], row["action"]

    def _may_raise(self, outcome: Outcome, context: Any, action: Any, reward: Any) -> bool:
        if context["then"] == "dies":
            return True
        outer, inner = self.ids
        floor = self._floor(outcome)
        own = [state for seq, state in self.models[outcome.exp_id].states.items() if seq >= floor]
        nests = outcome.exp_id == outer and context["then"] == "nests"
        others: list[State] = list(self.models[inner].states.values()) if nests else [self.models[inner].now]
        for state, other in product(own, others):
            try:
                learn(self.models, {inner: other, outcome.exp_id: state}, outcome.exp_id, context, action, reward)
            except Raised:
                return True
        return False

    def _check_edit(self, outcome: Outcome) -> None:
        if outcome.error is None:
            assert self.first[outcome.exp_id] < max(self.edits[outcome.exp_id], default=0)
            self._acknowledge(outcome, min(self.edits[outcome.exp_id]))
        else:
            assert isinstance(outcome.error, _AWAY)

    def _check_counts_of_edits(self) -> None:
        for exp_id in self.ids:
            edits = self._of(Edit, exp_id)
            done = sum(outcome.error is None for outcome in edits)
            perhaps = sum(isinstance(outcome.error, OutcomeUnknown) for outcome in edits)
            assert done <= len(self.edits[exp_id]) <= done + perhaps, f"{len(self.edits[exp_id])} edits of {edits}"

    def _check_reset(self, outcome: Outcome) -> None:
        if outcome.error is None:
            resets = [row["seq"] for row in self._new("events", outcome.exp_id) if row["kind"] == "reset"]
            asked = self._of(Reset, outcome.exp_id)
            assert sum(one.error is None for one in asked) <= len(resets) <= len(asked)
            self._acknowledge(outcome, min(resets))
        else:
            assert isinstance(outcome.error, ThetaNotThere | _AWAY)

    def _check_time_out(self, outcome: Outcome) -> None:
        if outcome.error is None:
            waiting = {
                row["_id"]
                for exp_id in self.ids
                for row in self.seen.of("decisions", exp_id)
                if row["status"] == "pending"
            }
            assert not waiting & self.overdue, "the job left advices whose time is over"
        else:
            assert isinstance(outcome.error, _AWAY)

    # What was known when -------------------------------------------------------------------------------------------

    def _acknowledge(self, outcome: Outcome, seq: int) -> None:
        place = outcome.op.side, outcome.exp_id
        self._next_acknowledged[place] = max(seq, self._next_acknowledged.get(place, 0))

    def _floor(self, outcome: Outcome) -> int:
        """The oldest seq that this call may have been run on."""
        own = self._acknowledged.get((outcome.op.side, outcome.exp_id), 0)
        old = [seqs[outcome.exp_id] for when, seqs in self._known if when <= outcome.started - STALENESS_SECONDS]
        return max([own, *old])

    def _remember(self, now: float) -> None:
        self._known.append((now, {exp_id: model.now.seq for exp_id, model in self.models.items()}))
        self._acknowledged |= self._next_acknowledged
        self._next_acknowledged = dict(self._acknowledged)

    # The database --------------------------------------------------------------------------------------------------

    def _check_database(self) -> None:
        for exp_id, model in self.models.items():
            head, state = self.seen.heads[exp_id], model.now
            assert (head["seq"], head["epoch"], head["revision"]) == (state.seq, state.epoch, state.revision)
            thetas = {
                (row["name"], row["key"], row["value"]): (row["theta"], row["seq"])
                for row in self.seen.of("theta", exp_id)
                if row["epoch"] == state.epoch
            }
            assert thetas == state.thetas
            rewards = self.seen.of("rewards", exp_id)
            assert head["rewards"] == len(rewards)
            self._check_claims(exp_id, rewards)
            logged = [{"row": row["row"], "data": row["data"]} for row in self.seen.of("logs", exp_id)]
            assert sorted(logged, key=str) == sorted(self.logs.get(exp_id, []), key=str)

    def _check_claims(self, exp_id: str, rewards: list[dict[str, Any]]) -> None:
        """Each reward was asked for, has the state of its decision, and stands for its request id."""
        decisions = {row["_id"]: row for row in self.seen.of("decisions", exp_id)}
        by_advice = {row["advice_id"]: row for row in rewards if "advice_id" in row}
        for advice, decision in decisions.items():
            reward = by_advice.pop(advice, None)
            if reward is None:
                assert decision["status"] in ("pending", "timeout_failed")
                assert decision["status"] == "pending" or advice in self.overdue
            else:
                assert decision["status"] == ("defaulted" if reward["default"] else "rewarded")
                assert (reward["context"], reward["action"]) == (decision["context"], decision["action"])
        assert not by_advice
        requests = {row["_id"]: row["row"] for row in self.seen.of("requests", exp_id)}
        for row in self._new("rewards", exp_id):
            if row["default"]:
                assert row["advice_id"] in self.overdue
                assert row["reward"] == {"r": 0}
            else:
                self._check_asked_for(exp_id, row)
            if "request_id" in row:
                assert requests[f"{exp_id}:setreward:{row['request_id']}"] == row["_id"]

    def _check_asked_for(self, exp_id: str, row: dict[str, Any]) -> None:
        """One call brought it; if its answer came, it was the only one to hear that its reward was new."""
        fitting = [
            outcome
            for outcome in self._of(Reward, exp_id)
            if row["reward"] == {"r": outcome.op.r}
            and outcome.request == row.get("request_id")
            and (outcome.row == row["advice_id"] if "advice_id" in row else self._is_own(outcome, row))
        ]
        first = [outcome for outcome in fitting if outcome.answer is not None and not outcome.answer.duplicate]
        unknown = [outcome for outcome in fitting if isinstance(outcome.error, OutcomeUnknown)]
        assert len(first) == 1 or (not first and unknown), f"{row} came of {fitting}"
