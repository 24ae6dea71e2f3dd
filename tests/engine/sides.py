"""Two servers' engines over one database, each behind a proxy, and the things that a program may do with them.

The engines run in this process, put together as ``app.server.assemble`` does it: real storage, mongod and sandbox.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from pymongo import MongoClient

from app.domain.experiment import Experiment, ExperimentSpec
from app.domain.requests import ActionRequest, RewardRequest
from app.domain.user import User
from app.engine.engine import Engine
from app.engine.limits import Limits
from app.errors import ThetaloopError
from app.jobs.runner import Jobs
from app.jobs.times import Times
from app.sandbox.host.pool import Pool
from app.sandbox.host.zygote_client import Zygote
from app.services.experiments import ExperimentService
from app.storage.client import connect
from app.storage.store import Store
from tests.proxy import Proxy

OWNER = "owner"
_PATIENCE_SECONDS = 60.0
# In the dark a side gives up after the share of this that the engine allows, and it is dark for longer.
_DARK_PATIENCE_SECONDS = 0.6
_DARK_SECONDS = 0.65
# How long a message is held where the other side waits for it.
_HOLD_SECONDS = 0.1
_NEVER = Times(*[1e9] * 5)

_FLAVOURED = "flavour, inner = {flavour}, {inner!r}\n"
# Every theta that a call may see shows in what it writes or answers, and no two orders of calls come to the same.
GET_ACTION = """
user, kind = self.context['user'], self.context['kind']
shared = self.get_theta('shared', 'all').get('x', 1)
mine = self.get_theta('user', user).get('n', 0)
self.action['draw'] = random.randrange(10**6)
self.action['seen'] = [flavour, shared, mine]
if kind == 'looks':
    self.action['people'] = sorted([name, theta['n']] for name, theta in self.get_theta('user').items())
    self.action['wide'] = sum(theta['n'] for theta in self.get_theta('w', name='wide').values())
if kind == 'learns':
    self.set_theta({'x': (17 * shared + flavour) % 1000003}, 'shared', 'all')
if kind in ('logs', 'learns', 'fails'):
    self.log_data({'tag': self.context['tag'], 'saw': shared})
if kind == 'fails':
    self.set_theta({'x': 0}, 'shared', 'all')
    raise ValueError('as it was told to')
if kind == 'dies':
    random._os._exit(3)
"""
SET_REWARD = """
user, then, r = self.context['user'], self.context['then'], self.reward['r']
shared = self.get_theta('shared', 'all').get('x', 1)
mine = self.get_theta('user', user).get('n', 0)
self.set_theta({'x': (31 * shared + 7 * mine + 3 * r + flavour) % 1000003}, 'shared', 'all')
self.log_data({'tag': self.context['tag'], 'saw': [shared, mine]})
if r == 3:
    self.delete_theta('user', user)
else:
    self.set_theta({'n': mine + 1}, 'user', user)
if then == 'widens':
    for number in range(120):
        self.set_theta({'n': shared % 7}, 'w', number, name='wide')
if then == 'nests' and inner:
    Experiment(inner).run_reward_code({**self.context, 'then': ''}, {}, self.reward)
if then == 'fails' or (then == 'no default' and r == 0) or (shared + r) % 4 == 0:
    raise ValueError('as it was told to')
if then == 'dies':
    random._os._exit(3)
"""


@dataclass(frozen=True)
class Op:
    """Something done at one side, to one of the experiments."""

    side: int
    exp: int


@dataclass(frozen=True)
class Act(Op):
    """getaction."""

    user: int
    kind: str = ""
    then: str = ""
    request: str | None = None


@dataclass(frozen=True)
class Reward(Op):
    """setreward: for the advice of that number, for one that nobody gave (-1), or for a context and action (None)."""

    r: int
    advice: int | None = None
    user: int = 0
    then: str = ""
    request: str | None = None


@dataclass(frozen=True)
class Edit(Op):
    """A new revision."""

    flavour: int


@dataclass(frozen=True)
class Reset(Op):
    """Forget the thetas of one user, or all."""

    user: int | None = None


@dataclass(frozen=True)
class TimeOut(Op):
    """The time of these advices is over, and the job looks for such."""

    advices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Moment:
    """What happens when a side sends its nth such command (``before``) or has its answer (``after``).

    ``cut``: all its connections break. ``dark``: the same, and it finds nobody until its calls have given up. ``hold``:
    the other side comes first. ``kill``: its workers are killed. ``forget``: its caches are dropped.
    """

    side: int
    command: str
    nth: int
    when: str
    what: str


@dataclass
class Outcome:
    """What became of an op: its ``answer`` or ``error``. ``row`` is the advice it was about."""

    op: Op
    tag: str
    exp_id: str
    started: float
    context: dict[str, Any]
    row: str | None
    request: str | None
    answer: Any = None
    error: ThetaloopError | None = None


@dataclass
class Seen:
    """All that the database holds of the experiments, by experiment."""

    heads: dict[str, dict[str, Any]]
    rows: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)

    def of(self, collection: str, exp_id: str) -> list[dict[str, Any]]:
        """The rows of an experiment."""
        return self.rows[collection].get(exp_id, [])


class Side:
    """What one server has."""

    def __init__(self, proxy: Proxy, store: Store, pool: Pool) -> None:
        self.proxy = proxy
        self.store = store
        self.pool = pool
        # May be changed while calls come, which those of a server may not.
        self.limits: Any = SimpleNamespace(**asdict(Limits(timeout_seconds=_PATIENCE_SECONDS, call_seconds=5.0)))
        self.start()

    def start(self) -> None:
        """Begin with an engine that knows nothing."""
        self.engine = Engine(self.store, self.pool, self.limits)
        self.jobs = Jobs(self.store, self.engine, _NEVER)
        self.service = ExperimentService(self.store, self.engine, self.pool)

    def forget(self) -> None:
        """Drop every cache."""
        for live in self.engine._live.values():
            live.runtime.drop()

    async def restart(self) -> None:
        """End the engine and begin with another one."""
        await self.engine.close()
        self.forget()
        self.start()

    def kill_workers(self) -> None:
        """As the system does when memory runs out."""
        for live in self.engine._live.values():
            worker = live.runtime.session.worker
            if worker is not None and worker.alive:
                os.kill(worker.pid, signal.SIGKILL)


@asynccontextmanager
async def two_sides(mongo: str) -> AsyncIterator[World]:
    """Two sides over one new database."""
    name = f"test_{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        direct = stack.enter_context(MongoClient[dict[str, Any]](mongo, tz_aware=True))
        stack.callback(direct.drop_database, name)
        # One zygote is quicker than two; its workers each serve one experiment of one engine as they would from two.
        pool = Pool(Zygote(512), 6)
        await pool.start()
        stack.push_async_callback(pool.stop)
        sides = []
        for _ in range(2):
            proxy = await stack.enter_async_context(Proxy(mongo))
            store = Store(connect(proxy.uri, name))
            # It says goodbye to mongod, through the proxy, which this thread keeps going.
            stack.push_async_callback(store.close)
            await store.prepare()
            sides.append(Side(proxy, store, pool))
        world = World(direct, name, sides)
        stack.push_async_callback(world.end)
        yield world


class World:
    """The sides and the database between them."""

    def __init__(self, direct: MongoClient[dict[str, Any]], name: str, sides: list[Side]) -> None:
        self._direct = direct
        self.database = direct[name]
        self.sides = sides
        self.experiments: list[Experiment] = []
        self.missed = 0  # moments of the last step that did not come
        self._background: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Two new experiments, of which the first one's scripts may call the second."""
        for side in self.sides:
            await side.restart()
        inner = secrets.token_hex(4)
        self.experiments = [self._experiment(secrets.token_hex(4), inner), self._experiment(inner, None)]
        for experiment in self.experiments:
            await self.sides[0].store.experiments.insert(experiment)

    async def end(self) -> None:
        """End the engines."""
        for side in self.sides:
            await side.restart()

    def _experiment(self, exp_id: str, inner: str | None) -> Experiment:
        made = datetime.now(UTC)
        return Experiment(id=exp_id, key="k", owner=OWNER, created=made, **vars(self.draft(exp_id, inner, 1)))

    @staticmethod
    def draft(name: str, inner: str | None, flavour: int) -> ExperimentSpec:
        """An experiment of that flavour."""
        first = _FLAVOURED.format(flavour=flavour, inner=inner)
        return ExperimentSpec(
            name=name,
            get_action=first + GET_ACTION,
            set_reward=first + SET_REWARD,
            advice_id=True,
            delta_hours=1000.0,
            default_reward={"r": 0},
        )

    async def do(self, ops: Sequence[Op], moments: Sequence[Moment], step: int) -> list[Outcome]:
        """Do it all at once; returns when nothing is under way any more."""
        advices = self._advices()
        self._overdue(
            [advices[number % len(advices)] for op in ops for number in getattr(op, "advices", ()) if advices]
        )
        return await self._run([self._outcome(op, f"{step:03}.{n:02}", advices) for n, op in enumerate(ops)], moments)

    async def again(self, outcomes: Sequence[Outcome], side: int) -> list[Outcome]:
        """Send the same calls once more, to that side."""
        fresh = {"started": time.monotonic(), "answer": None, "error": None}
        return await self._run([replace(one, op=replace(one.op, side=side), **fresh) for one in outcomes], [])

    async def _run(self, outcomes: list[Outcome], moments: Sequence[Moment]) -> list[Outcome]:
        tasks = [asyncio.create_task(self._do(outcome)) for outcome in outcomes]
        for moment in moments:
            self._arm(moment, [task for task, one in zip(tasks, outcomes, strict=True) if one.op.side != moment.side])
        if any(moment.what == "dark" for moment in moments):
            for moment in moments:
                self.sides[moment.side].limits.timeout_seconds = _DARK_PATIENCE_SECONDS
        try:
            await asyncio.gather(*tasks)
        finally:
            self.missed = 0
            for side in self.sides:
                self.missed += side.proxy.forget()
                side.limits.timeout_seconds = _PATIENCE_SECONDS
            await asyncio.gather(*self._background)
            for side in self.sides:
                await side.proxy.quiet()
        return outcomes

    def look(self) -> Seen:
        """Read everything, not through the engine."""
        ids = [experiment.id for experiment in self.experiments]
        seen = Seen({row["_id"]: row for row in self.database.heads.find({"_id": {"$in": ids}})})
        for collection in ("rewards", "events", "decisions", "logs", "theta", "requests", "revisions"):
            by_experiment: dict[str, list[dict[str, Any]]] = {}
            for row in self.database[collection].find({"exp_id": {"$in": ids}}).sort("_id", 1):
                by_experiment.setdefault(row["exp_id"], []).append(row)
            seen.rows[collection] = by_experiment
        return seen

    def _advices(self) -> list[tuple[str, str]]:
        """Experiment and id of every decision, in the order of the program."""
        ids = [experiment.id for experiment in self.experiments]
        rows = self.database.decisions.find({"exp_id": {"$in": ids}}, {"exp_id": 1}).sort("context.tag", 1)
        return [(row["exp_id"], row["_id"]) for row in rows]

    def _overdue(self, advices: list[tuple[str, str]]) -> None:
        wanted = {"_id": {"$in": [row for _, row in advices]}, "status": "pending"}
        self.database.decisions.update_many(wanted, {"$set": {"expires_at": datetime.now(UTC) - timedelta(days=1)}})

    def _outcome(self, op: Op, tag: str, advices: list[tuple[str, str]]) -> Outcome:
        exp_id, row = self.experiments[op.exp].id, None
        if isinstance(op, Reward) and op.advice is not None:
            exp_id, row = advices[op.advice % len(advices)] if advices and op.advice >= 0 else (exp_id, "0" * 32)
        context: dict[str, Any] = {}
        if isinstance(op, Act):
            context = {"user": op.user, "kind": op.kind, "then": op.then, "tag": tag}
        elif isinstance(op, Reward):
            context = {"user": op.user, "then": op.then, "tag": tag}
        return Outcome(op, tag, exp_id, time.monotonic(), context, row, getattr(op, "request", None))

    async def _do(self, outcome: Outcome) -> None:
        op, side = outcome.op, self.sides[outcome.op.side]
        try:
            if isinstance(op, Act):
                live = await side.engine.get(outcome.exp_id)
                outcome.answer = await live.get_action(ActionRequest(outcome.context, outcome.request))
            elif isinstance(op, Reward):
                live = await side.engine.get(outcome.exp_id)
                about: dict[str, Any] = {"context": outcome.context, "action": {}}
                if outcome.row is not None:
                    about = {"advice_id": outcome.row}
                outcome.answer = await live.set_reward(RewardRequest({"r": op.r}, request_id=outcome.request, **about))
            elif isinstance(op, Edit):
                inner = self.experiments[1].id if op.exp == 0 else None
                draft = self.draft(outcome.exp_id, inner, op.flavour)
                outcome.answer = await side.service.replace(User(OWNER), outcome.exp_id, draft)
            elif isinstance(op, Reset):
                named = (None, None) if op.user is None else ("user", str(op.user))
                outcome.answer = await side.service.reset(User(OWNER), outcome.exp_id, "k", *named)
            elif isinstance(op, TimeOut):
                await side.jobs.timeouts.run()
        except ThetaloopError as error:
            outcome.error = error

    def _arm(self, moment: Moment, others: list[asyncio.Task[None]]) -> None:
        side = self.sides[moment.side]

        async def happen() -> None:
            if moment.what in ("cut", "dark"):
                side.proxy.dark = moment.what == "dark"
                side.proxy.cut()
            if moment.what == "dark":
                self._background.add(asyncio.create_task(self._until_light(side)))
            if moment.what == "hold" and others:
                await asyncio.wait(others, timeout=_HOLD_SECONDS)
            if moment.what == "kill":
                side.kill_workers()
            if moment.what == "forget":
                side.forget()

        side.proxy.at(moment.command, moment.nth, moment.when, happen)

    async def _until_light(self, side: Side) -> None:
        await asyncio.sleep(_DARK_SECONDS)
        side.proxy.dark = False
        await asyncio.to_thread(self._end_orphans)

    def _end_orphans(self) -> None:
        """What a side had open when it got dark would keep the other one waiting until mongod loses its patience."""
        idle = {"type": "idleSession", "transaction.timeInactiveMicros": {"$gt": _DARK_SECONDS * 5e5}}
        found = self._direct.admin.aggregate([{"$currentOp": {"idleSessions": True}}, {"$match": idle}])
        orphans = [{"id": row["lsid"]["id"]} for row in found]
        if orphans:
            self._direct.admin.command("killSessions", orphans)
