"""Simulations of an experiment, while the caller waits and in the background."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from tornado.iostream import StreamClosedError

from app.dialects.streamingbandit import wire
from app.domain.experiment import Experiment
from app.domain.simulation import Plan
from app.errors import Overloaded, ThetaloopError
from app.http.base import JsonHandler
from app.http.errors import MethodNotAllowed
from app.http.streaming import StreamingHandler
from app.services.simulation_runs import SimulationRun

_encode = msgspec.json.Encoder().encode
# Until so much has gathered a failure can still be answered with its status.
_HELD_BYTES = 4 * 2**20


class SimulateHandler(StreamingHandler):
    """``/eval/EXP_ID/simulate``: the answer is streamed, and the simulation ends when nobody waits for it any more."""

    held_bytes = _HELD_BYTES
    _task: asyncio.Task[None] | None = None
    _gone = False
    _open = b""  # what closes the part of the answer that is under way

    async def get(self, exp_id: str) -> None:
        """Run a simulation; live theta is not touched."""
        experiment = await self.owned(exp_id)
        plan, verbose = wire.plan_of(self._given())
        if plan.commit:
            raise MethodNotAllowed("POST", "commit=True changes the experiment: send it by POST")
        await self._answer(experiment, plan, verbose)

    async def post(self, exp_id: str) -> None:
        """Run a simulation; with ``commit`` its theta replaces the live one."""
        experiment = await self.owned(exp_id)
        plan, verbose = wire.plan_of(self._given() | dict(self.json_body()))
        await self._answer(experiment, plan, verbose)

    def on_connection_close(self) -> None:
        """Stop the simulation: nobody waits for it."""
        self._gone = True
        if self._task is not None:
            self._task.cancel()

    def _given(self) -> dict[str, Any]:
        return {name: self.get_query_argument(name) for name in self.request.query_arguments}

    async def _answer(self, experiment: Experiment, plan: Plan, verbose: bool) -> None:
        self._task = asyncio.create_task(self._simulate(experiment, plan, verbose))
        await asyncio.wait([self._task])
        try:
            self._task.result()
        except StreamClosedError:
            pass
        except asyncio.CancelledError:
            if not self._gone:
                await self._fail(Overloaded())
        except ThetaloopError as error:
            await self._fail(error)

    async def _simulate(self, experiment: Experiment, plan: Plan, verbose: bool) -> None:
        async with self.services.simulations.opened(experiment, plan, rows=verbose) as run:
            await self.write_piece(wire.simulation_start(experiment.id, plan))
            if verbose:
                await self._write_draws(run)
            else:
                async for _ in run.draws():
                    pass
            theta = await self.services.simulations.finish(run)
        await self.write_piece(b',"theta":' + _encode(theta) + b',"simulate":"success"}\n')
        await self.finish()

    async def _write_draws(self, run: SimulationRun) -> None:
        number, separator = 0, b',"data":{'
        self._open = b"}"
        async for rows in run.draws():
            for row in rows:
                await self.write_piece(separator + b'"%d":' % number + _encode(wire.draw_row(row)))
                number, separator = number + 1, b",\n"
        self._open = b""
        await self.write_piece(b"}")

    async def _fail(self, error: ThetaloopError) -> None:
        """Answer with the error; if the answer has begun, end it with the error."""
        if not self.begun:
            raise error
        body = _encode(self.dialect.errors.answer(error).body)
        await self.finish(self._open + b"," + body[1:-1] + b',"simulate":"failed"}\n')


class SimulationsHandler(JsonHandler):
    """``/eval/EXP_ID/simulations``."""

    async def get(self, exp_id: str) -> None:
        """List the newest runs, without their series."""
        await self.owned(exp_id)
        self.send([wire.run_row(row) for row in await self.services.simulations.all(exp_id)])

    async def post(self, exp_id: str) -> None:
        """Start a run in the background."""
        experiment = await self.owned(exp_id)
        plan, _ = wire.plan_of(dict(self.json_body()))
        self.send({"run": await self.services.simulations.start(experiment, plan)})


class OneSimulation(JsonHandler):
    """``/eval/EXP_ID/simulations/RUN``."""

    async def get(self, exp_id: str, run_id: str) -> None:
        """Answer the state of a run, and its results so far."""
        await self.owned(exp_id)
        self.send(wire.run_row(await self.services.simulations.find(exp_id, run_id)))

    async def delete(self, exp_id: str, run_id: str) -> None:
        """Cancel a run."""
        await self.owned(exp_id)
        self.send(wire.run_row(await self.services.simulations.cancel(exp_id, run_id)))
