"""Random programs on two servers' engines come to exactly what a single server would have made of the same calls.

A program is a list of steps; a step is some calls at once, at both sides, and harm at chosen moments. After each step
the model (``tests/engine/follow.py``) takes what was accepted, in the order of seqs, and compares every answer, theta,
log row, state of a decision and count. When a program fails, the shortest one that does is printed, with what was
answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from app.domain.theta import ThetaKey, as_theta
from app.errors import OutcomeUnknown, Overloaded, StoreUnavailable
from app.services.statistics import Statistics
from tests.engine.follow import Follower
from tests.engine.sides import Act, Edit, Moment, Outcome, Reset, Reward, TimeOut, World, two_sides

sides = st.integers(0, 1)
exps = st.sampled_from([0, 0, 1])
users = st.integers(0, 2)
requests = st.sampled_from([None, None, "p", "q"])
thens = st.sampled_from(["", "", "", "nests", "nests", "nests", "no default", "widens", "fails", "dies"])
kinds = st.sampled_from(["", "", "", "looks", "looks", "looks", "logs", "learns", "fails", "dies"])
acts = st.builds(Act, sides, exps, users, kinds, thens, requests)
advised = st.builds(Reward, sides, exps, st.integers(0, 3), st.integers(0, 7) | st.just(-1), request=requests)
plain = st.builds(Reward, sides, exps, st.integers(0, 3), st.none(), users, thens, requests)
edits = st.builds(Edit, sides, exps, st.integers(1, 9))
resets = st.builds(Reset, sides, exps, st.none() | users)
time_outs = st.builds(TimeOut, sides, st.just(0), st.lists(st.integers(0, 7), max_size=3).map(tuple))
often = [acts] * 5 + [advised] * 5 + [plain] * 3 + [edits, resets, time_outs]
ops = st.lists(st.sampled_from(often).flatmap(lambda strategy: strategy), min_size=1, max_size=7)

commands = st.sampled_from(["commitTransaction"] * 4 + ["update", "insert", "find"] * 2 + ["getMore"])
places = (sides, commands, st.sampled_from([1, 1, 1, 2, 3]), st.sampled_from(["before", "after"]))
harmless = st.builds(Moment, *places, st.sampled_from(["hold", "hold", "forget", "kill"]))
cuts = st.builds(Moment, *places, st.just("cut"))
darks = st.builds(Moment, *places, st.just("dark"))

_AWAY = StoreUnavailable | Overloaded | OutcomeUnknown


class Programs(RuleBasedStateMachine):
    """Steps on the engines of ``world``, each followed by the model."""

    world: ClassVar[World]
    shortest: ClassVar[list[str]] = []
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.steps = 0
        self.darks = 0

    @initialize()
    def begin(self) -> None:
        self.run(self.world.begin())
        self.follower = Follower(self.world.experiments, self.world.look())
        self.step([Act(0, 0, 0), Act(1, 0, 1, then="nests"), Act(0, 1, 0)], [])

    @rule(ops=ops)
    def calls(self, ops: list[Any]) -> None:
        self.step(ops, [])

    @rule(ops=ops, moments=st.lists(harmless, min_size=1, max_size=2, unique_by=lambda m: (m.side, m.what)))
    def calls_that_meet(self, ops: list[Any], moments: list[Moment]) -> None:
        self.step(ops, moments)

    @rule(ops=ops, cut=cuts, moments=st.lists(harmless, max_size=1))
    def calls_that_are_cut(self, ops: list[Any], cut: Moment, moments: list[Moment]) -> None:
        self.step(ops, [cut, *moments])

    @precondition(lambda self: self.darks < 2)
    @rule(ops=ops, dark=darks, retry=sides)
    def calls_in_the_dark(self, ops: list[Any], dark: Moment, retry: int) -> None:
        """Some get no clear answer; whoever sends them again, with an id, learns what became of them."""
        self.darks += 1
        outcomes = self.step(ops, [dark])
        unclear = [one for one in outcomes if isinstance(one.error, _AWAY) and (one.row or one.request)]
        if unclear:
            missed = self.world.missed
            self.followed(lambda: self.world.again(unclear, retry))
            self.world.missed = missed

    @rule(side=sides)
    def a_server_starts_again(self, side: int) -> None:
        self.run(self.world.sides[side].restart())

    def step(self, ops: list[Any], moments: list[Moment]) -> list[Outcome]:
        self.steps += 1
        # The driver repeats most of what was cut, but not getMore, nor a job's question for the time.
        cut = any(moment.what == "cut" for moment in moments)
        faulty = any(moment.what == "dark" or (moment.what, moment.command) == ("cut", "getMore") for moment in moments)
        faulty = faulty or (cut and any(isinstance(op, TimeOut) for op in ops))
        self.told += [f"step {self.steps}", *(f"  {moment}" for moment in moments)]
        return self.followed(lambda: self.world.do(ops, moments, self.steps), faulty=faulty)

    def followed(self, work: Any, *, faulty: bool = False) -> list[Outcome]:
        """Do it, tell what was answered, and let the model follow."""
        outcomes: list[Outcome] = self.run(work())
        now = time.monotonic()
        self.told += [f"  {one.tag} {one.op}: {one.error or one.answer!r}" for one in outcomes]
        try:
            self.follower.follow(outcomes, self.world.look(), now, faulty=faulty)
            self.run(self.statistics_agree())
        except Exception as error:
            error.add_note("The program and its answers:\n" + "\n".join(self.told))
            if not Programs.shortest or len(self.told) < len(Programs.shortest):
                Programs.shortest = self.told
            raise
        return outcomes

    async def statistics_agree(self) -> None:
        """What owners read: counts and theta."""
        for exp_id, model in self.follower.models.items():
            statistics = Statistics(self.world.sides[0].store)
            decisions, rewards = (self.follower.seen.of(name, exp_id) for name in ("decisions", "rewards"))
            summary = await statistics.summary(exp_id)
            assert (summary.get_action_calls, summary.set_reward_calls) == (len(decisions), len(rewards))
            assert summary.last_added_get_action == max((row["date"] for row in decisions), default=None)
            assert summary.last_added_set_reward == max((row["date"] for row in rewards), default=None)
            rows = [
                (ThetaKey(exp_id, name, key, value), theta)
                for (name, key, value), (theta, _) in model.now.thetas.items()
                if name == "_theta" and theta is not None
            ]
            assert await statistics.current_theta(exp_id) == as_theta(rows)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)


@pytest.fixture(scope="module")
def world(mongo: str) -> Iterator[None]:
    """What programs run on."""
    with asyncio.Runner() as runner:
        opened = two_sides(mongo)
        Programs.runner = runner
        Programs.world = runner.run(opened.__aenter__())
        yield
        runner.run(opened.__aexit__(None, None, None))


def check(examples: int, steps: int) -> None:
    """Run so many programs of so many steps; the same ones each time, as far as the order of events is the same."""
    Programs.shortest = []
    try:
        run_state_machine_as_test(
            Programs,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                derandomize=True,
                database=None,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
    except BaseException as error:
        # Hypothesis keeps to itself what it could not make happen a second time.
        error.add_note("The shortest program that failed, and its answers:\n" + "\n".join(Programs.shortest))
        raise


def test_random_programs_equal_the_sequential_model(world: None) -> None:
    check(examples=4, steps=8)


@pytest.mark.slow
def test_many_random_programs_equal_the_sequential_model(world: None) -> None:
    check(examples=40, steps=15)


# Known ways to get it wrong: each program came to something else on an engine that was broken on purpose.
FIRST = "commitTransaction"
HOLD = Moment(0, "update", 1, "before", "hold")
ONE, OTHER = Reward(0, 0, 1, user=0), Reward(1, 0, 2, user=1)
# Of different rewards no two fail on the same theta.
EACH = [replace(ONE, r=r) for r in range(4)]
OTHERS = [replace(OTHER, r=1), replace(OTHER, r=2)]
NESTED = [replace(one, then="nests") for one in EACH]
CHOSEN: dict[str, list[tuple[list[Any], list[Moment]]]] = {
    "a commit that lost the race": [
        ([ONE, OTHER], [HOLD]),
        ([Act(0, 0, 0, "looks"), Act(1, 0, 0, "looks"), ONE], []),
    ],
    "a reward that failed in a batch which is run again": [
        ([*EACH, OTHER], [HOLD]),
        ([*EACH, OTHER], [HOLD]),
        ([*EACH, OTHER], [HOLD]),
    ],
    "a commit that never arrived": [
        ([ONE], []),
        ([*EACH, replace(ONE, r=2, request="p")], [Moment(0, FIRST, 1, "before", "dark")]),
        ([Act(0, 0, 0, "looks"), Act(1, 0, 0), ONE], []),
    ],
    "a commit whose answer was lost": [
        ([*EACH, Reward(0, 0, 1, advice=0)], [Moment(0, FIRST, 1, "after", "dark")]),
        ([Act(0, 0, 0, "looks"), Act(1, 0, 0), ONE], []),
    ],
    "a commit that is repeated": [
        ([*EACH, Reward(0, 0, 1, advice=0)], [Moment(0, FIRST, 1, "after", "cut")]),
        ([*EACH, OTHER], [Moment(0, FIRST, 1, "before", "cut")]),
    ],
    "an insert that is repeated": [
        ([Act(0, 0, 0), Act(0, 0, 1, "logs")], [Moment(0, "insert", 1, "after", "cut")]),
        ([Act(0, 0, 0), Act(0, 0, 1, "logs")], [Moment(0, "insert", 1, "before", "cut")]),
    ],
    "an insert whose answer was lost": [
        ([Act(0, 0, 0, request="p"), Act(0, 0, 1)], [Moment(0, "insert", 1, "after", "dark")]),
        ([Act(0, 0, 0, request="p"), Act(1, 0, 1, request="p")], []),
    ],
    "a request made on both sides at once": [
        (
            [Act(0, 0, 0, request="p"), Act(1, 0, 1, request="p")],
            [replace(HOLD, command="insert"), replace(HOLD, side=1, command="insert")],
        ),
        (
            [Act(0, 0, 0, "learns", request="q"), Act(1, 0, 1, request="q")],
            [HOLD, replace(HOLD, side=1, command="insert")],
        ),
        ([replace(ONE, request="p"), replace(OTHER, r=1, request="p")], [HOLD, replace(HOLD, side=1)]),
        ([replace(ONE, r=2, request="p"), replace(OTHER, r=1, request="p")], []),
    ],
    "a request whose row was found just before mongod went away": [
        ([Act(0, 0, 0, request="p"), Act(0, 0, 1)], [Moment(0, "insert", 1, "after", "forget")]),
        ([Act(0, 0, 0, request="q"), Act(0, 0, 1)], [Moment(0, "find", 2, "before", "dark")]),
        ([Act(0, 0, 0, request="r"), Act(0, 0, 1)], [Moment(0, "find", 1, "before", "dark")]),
    ],
    "a default that is given up while a reward comes": [
        ([Act(0, 0, 0, then="no default")] * 3, []),
        (
            [TimeOut(1, 0, tuple(range(8))), *(Reward(0, 0, 1, advice=number) for number in range(8))],
            [HOLD],
        ),
    ],
    "a retry at the side that gave the advice, whose script would fail by now": [
        (EACH, []),
        ([Reward(1, 0, r, advice=0) for r in range(4)], []),
        ([Reward(0, 0, r, advice=0) for r in range(4)], []),
        ([Reward(1, 0, r, advice=1) for r in range(4)], []),
        ([Reward(0, 0, r, advice=1) for r in range(4)], []),
    ],
    "an action that learns": [
        ([Act(0, 0, 0, "learns"), *EACH, Act(1, 0, 0, "learns"), Act(1, 0, 0)], []),
        ([Act(1, 0, 0, "learns"), Act(0, 0, 0, "looks")], []),
    ],
    "an edit and a reset at the other side": [
        ([*EACH, Act(1, 0, 0)], []),
        ([Edit(0, 0, 7), *EACH, *OTHERS, Act(1, 0, 0)], [replace(HOLD, side=1)]),
        ([Reset(0, 0), ONE, *OTHERS, Act(1, 0, 0)], [replace(HOLD, side=1)]),
        ([Act(0, 0, 0, "looks"), Act(1, 0, 0, "looks"), *EACH, *OTHERS], []),
        ([Reset(0, 0, 0), *OTHERS, Act(1, 0, 0, "looks")], [replace(HOLD, side=1)]),
        ([Act(0, 0, 0, "looks"), Act(1, 0, 0, "looks")], []),
    ],
    "workers that die before they hear that they were right": [
        (EACH, [Moment(0, FIRST, 1, "before", "kill")]),
        ([Act(0, 0, 0, "looks"), *EACH], [Moment(0, FIRST, 1, "after", "kill")]),
        ([Act(0, 0, 0, "looks"), *EACH], [Moment(0, FIRST, 1, "after", "forget")]),
        ([Act(0, 0, 0, "looks"), OTHER, *EACH], [Moment(0, FIRST, 1, "before", "forget")]),
        ([Act(0, 0, 0, "looks"), *EACH], []),
    ],
    "many thetas in several answers": [
        ([Reward(0, 0, 2, user=0, then="widens")], []),
        ([Act(1, 0, 0, "looks"), Act(0, 0, 0, "looks")], [Moment(1, "getMore", 1, "after", "cut")]),
        ([Reward(0, 0, 1, user=0, then="widens"), Act(1, 0, 0, "looks")], [Moment(1, "find", 2, "before", "cut")]),
    ],
    "an experiment inside another": [
        ([*NESTED, Reward(1, 1, 1, user=0), Reward(1, 1, 2, user=0)], [HOLD]),
        ([Edit(1, 1, 5), *NESTED], [HOLD]),
        ([Reset(1, 1), *NESTED, Act(1, 1, 0, "looks")], []),
    ],
}


# In the dark a side needs more than a second to give up and to find mongod again.
LONG = {"a commit whose answer was lost", "an insert whose answer was lost"}


@pytest.mark.parametrize(
    "program",
    [pytest.param(steps, id=name, marks=[pytest.mark.slow] * (name in LONG)) for name, steps in CHOSEN.items()],
)
def test_a_chosen_program_equals_the_sequential_model(world: None, program: list[Any]) -> None:
    one = Programs()
    one.begin()
    for ops, moments in program:
        if any(moment.what == "dark" for moment in moments):
            one.calls_in_the_dark(ops, *moments, retry=1)
        else:
            one.step(ops, moments)
        assert not moments or one.world.missed < len(moments), f"{moments} did not come"
