"""What the watcher of heads makes of a stream's news, without a database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from app.domain.experiment import Experiment, Head
from app.engine.head_watcher import HeadWatcher, NewsStream
from app.engine.view import View
from app.storage.head_stream import StreamBroken

_DATE = datetime(2026, 1, 1, tzinfo=UTC)


def view(**seqs: int) -> View:
    first = next(iter(seqs))
    made = {e: Experiment(id=e, key="k", owner="o", created=_DATE, name=e) for e in seqs}
    return View(first, made, {e: Head(e, seq, 1, 1, "live") for e, seq in seqs.items()})


class Stream:
    """Hands out what is put into it; ends when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, float]] = []
        self.broken = False
        self.closed = False
        self.asked = asyncio.Event()

    async def news(self) -> list[tuple[str, float]]:
        if self.broken:
            raise StreamBroken
        told, self.waiting = self.waiting, []
        self.asked.set()
        return told

    async def close(self) -> None:
        self.closed = True


class Source:
    """Opens streams, unless it is away."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.away = False
        self.opened = asyncio.Event()

    async def open(self) -> NewsStream:
        if self.away:
            raise StreamBroken
        self.streams.append(Stream())
        self.opened.set()
        return self.streams[-1]


def told(story: Callable[[Source, HeadWatcher], Awaitable[None]], listening: float = 60.0) -> None:
    async def tell() -> None:
        source = Source()
        watcher = HeadWatcher(source, listening)
        try:
            await asyncio.wait_for(story(source, watcher), 30)
        finally:
            await watcher.close()

    asyncio.run(tell())


async def heard(stream: Stream, *news: tuple[str, float]) -> None:
    """Let the watcher hear it."""
    stream.waiting += news
    while stream.waiting:
        stream.asked.clear()
        await stream.asked.wait()
    stream.asked.clear()
    await stream.asked.wait()  # once more: by now it has taken in what it was told


async def listening(source: Source, watcher: HeadWatcher, number: int = 1) -> Stream:
    """The stream of that number, once the watcher asks it."""
    watcher.checked(0.0)
    while len(source.streams) < number:
        source.opened.clear()
        await source.opened.wait()
    await heard(source.streams[-1])
    return source.streams[-1]


def test_only_a_seq_above_the_views_own_is_news() -> None:
    async def story(source: Source, watcher: HeadWatcher) -> None:
        stream = await listening(source, watcher)
        await heard(stream, ("a", 3), ("b", 9), ("other", 50))
        assert [watcher.outdated(view(a=seq, b=9)) for seq in (2, 3, 4)] == [True, False, False]
        assert watcher.outdated(view(a=3, b=8))

    told(story)


def test_a_deleted_head_outdates_every_view() -> None:
    async def story(source: Source, watcher: HeadWatcher) -> None:
        await heard(await listening(source, watcher), ("a", float("inf")))
        assert watcher.outdated(view(a=10**9))

    told(story)


def test_it_vouches_only_for_what_was_read_after_the_stream_was_opened() -> None:
    async def story(source: Source, watcher: HeadWatcher) -> None:
        before = time.monotonic()
        stream = await listening(source, watcher)
        after = time.monotonic()
        await heard(stream)
        assert watcher.checked(before - 1) == before - 1
        assert watcher.checked(after) > after

    told(story)


def test_after_a_break_it_vouches_for_nothing_that_was_read_before() -> None:
    async def story(source: Source, watcher: HeadWatcher) -> None:
        stream = await listening(source, watcher)
        read = time.monotonic()
        stream.broken = True
        second = await listening(source, watcher, 2)
        assert stream.closed
        assert watcher.checked(read) == read
        await heard(second, ("a", 5))
        assert watcher.outdated(view(a=4))

    told(story)


def test_while_no_stream_can_be_opened_reads_count_from_when_they_were_made() -> None:
    async def story(source: Source, watcher: HeadWatcher) -> None:
        source.away = True
        read = time.monotonic()
        watcher.checked(read)
        await asyncio.sleep(0)
        assert watcher.checked(read) == read
        source.away = False
        await listening(source, watcher)

    told(story)


def test_it_stops_when_nobody_asks_and_begins_anew() -> None:
    async def story(source: Source, watcher: HeadWatcher) -> None:
        stream = await listening(source, watcher)
        while not stream.closed:  # noqa: ASYNC110 - it ends by its own clock
            await asyncio.sleep(0.01)
        await listening(source, watcher, 2)

    told(story, listening=0.25)


def test_without_a_source_it_knows_nothing() -> None:
    async def story() -> None:
        watcher = HeadWatcher(None, 1.0)
        assert watcher.checked(7.0) == 7.0
        assert not watcher.outdated(view(a=0))
        await watcher.close()

    asyncio.run(story())


def test_very_many_heads_are_forgotten_together_with_what_was_vouched_for() -> None:
    async def story(source: Source, watcher: HeadWatcher) -> None:
        stream = await listening(source, watcher)
        read = time.monotonic()
        await heard(stream, *((f"x{n}", 1.0) for n in range(20_001)))
        assert watcher.checked(read) == read
        assert not watcher.outdated(view(x0=0))

    told(story)
