"""What confinement costs: time to a worker, memory per worker, and calls there and back beside plain ``exec``.

Run ``python benchmarks/sandbox.py`` on a machine that does nothing else. The ratios come first: they move least from
one machine to another.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from app.sandbox.host import reply_validation
from app.sandbox.host.channel import Worker
from app.sandbox.host.zygote_client import Zygote
from app.sandbox.protocol import Item, RunScript, encode

SCRIPT = """\
arms = ['a', 'b', 'c']
means = np.array([self.context['x'] * k for k in (0.1, 0.2, 0.3)])
draws = np.random.normal(means, 1.0)
best = int(np.argmax(draws))
self.action['arm'] = arms[best]
self.action['propensity'] = 1 / len(arms)
"""
MEMORY_MB = 512
WORKERS = 32
FRAME = 32


class Plain:
    """The least that a script needs as its ``self``."""

    def __init__(self) -> None:
        self.context = {"x": 1.0}
        self.action: dict[str, Any] = {}


def plain_call(times: int) -> float:
    """Seconds per call of ``exec`` in this process: no confinement, no limit, no cleaning."""
    code = compile(SCRIPT, "get_action", "exec")
    started = time.perf_counter()
    for _ in range(times):
        exec(code, {"np": np, "self": Plain()})
    return (time.perf_counter() - started) / times


async def median(times: int, work: Callable[[], Awaitable[object]]) -> float:
    """The median of the seconds that ``work`` takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


async def frame(worker: Worker, size: int, first: bool = False, script: str = "get_action") -> None:
    """One frame there and back, with the reading of the answer."""
    programs: dict[str, dict[str, str] | None] = {"e": {"get_action": SCRIPT, "get_reward": ""}} if first else {}
    items = [Item(number, number, {"x": 1.0}, {}, {}) for number in range(size)]
    answer = await worker.request(encode(RunScript("e", script, items, 60.0, programs=programs)), 60.0)
    await reply_validation.read(answer, items, {"e"})


def private_kib(pid: int) -> int:
    """Memory that this process shares with no other."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"Private_\w+:\s+(\d+) kB", rollup))


async def main() -> None:
    zygote = Zygote(MEMORY_MB)
    started = time.perf_counter()
    await zygote.start()
    start = time.perf_counter() - started
    workers: list[Worker] = []

    async def spawn() -> None:
        worker = await zygote.spawn()
        await frame(worker, 1, first=True, script="get_reward")
        workers.append(worker)

    ready = await median(WORKERS, spawn)
    idle = statistics.median(private_kib(worker.pid) for worker in workers)
    worker = workers[0]
    await frame(worker, 1)
    empty = await median(2_000, lambda: frame(worker, 1, script="get_reward"))
    single = await median(2_000, lambda: frame(worker, 1))
    framed = await median(500, lambda: frame(worker, FRAME)) / FRAME
    used = private_kib(worker.pid)
    plain = plain_call(20_000)
    for each in workers:
        each.kill()
    await zygote.stop()

    print(f"confinement: {zygote.active}\n")
    for what, value in (
        ("a call singly, beside plain exec", f"{single / plain:8.1f} x"),
        (f"a call in frames of {FRAME}, beside plain exec", f"{framed / plain:8.1f} x"),
        ("singly, beside frames", f"{single / framed:8.1f} x"),
        ("", ""),
        ("plain exec of the script", f"{plain * 1e6:8.1f} us"),
        (f"the script in frames of {FRAME}", f"{framed * 1e6:8.1f} us, {1 / framed:8.0f} calls/s"),
        ("the script singly", f"{single * 1e6:8.1f} us, {1 / single:8.0f} calls/s"),
        ("an empty script singly", f"{empty * 1e6:8.1f} us"),
        ("a worker that has answered its first frame", f"{ready * 1e3:8.1f} ms"),
        ("the zygote", f"{start * 1e3:8.1f} ms"),
        ("private memory of a worker, idle", f"{idle / 1024:8.1f} MiB"),
        ("private memory of a worker, used", f"{used / 1024:8.1f} MiB"),
    ):
        print(f"{what:48}{value}")


if __name__ == "__main__":
    asyncio.run(main())
