"""Every request, from its arrival to its answer."""

from __future__ import annotations

import asyncio

import pytest

from app.http.in_flight import FinishedRequest, InFlightRequests


def test_observers_hear_of_each_request_once() -> None:
    requests, seen = InFlightRequests(), list[FinishedRequest]()
    requests.observers.append(seen.append)
    requests.arrive("a", "GET")
    requests.receive("a")
    assert seen == []
    requests.finish("a", "toy", "/coins/*", 200)
    requests.finish("a", "toy", "/coins/*", None)
    (one,) = seen
    assert (one.dialect, one.route, one.method, one.status) == ("toy", "/coins/*", "GET", 200)
    assert 0 <= one.seconds < 10


def test_an_observer_that_fails_keeps_nothing_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    requests, seen = InFlightRequests(), list[FinishedRequest]()

    def fail(request: FinishedRequest) -> None:
        raise RuntimeError("no disk")

    requests.observers += [fail, seen.append]
    requests.arrive("a", "GET")
    requests.finish("a", "", "", None)
    assert len(seen) == 1
    assert "an observer of requests failed" in caplog.text


def test_closing_waits_for_what_was_received_and_not_for_half_a_request() -> None:
    async def scenario() -> None:
        requests = InFlightRequests()
        requests.arrive("half", "POST")
        for name in ("one", "two"):
            requests.arrive(name, "GET")
            requests.receive(name)
        closing = asyncio.create_task(requests.close())
        await asyncio.sleep(0)
        assert requests.closing
        requests.finish("one", "", "", 200)
        await asyncio.sleep(0)
        assert not closing.done()
        requests.finish("two", "", "", 200)
        await asyncio.wait_for(closing, 5)

    asyncio.run(scenario())
