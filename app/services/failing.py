"""Whether an experiment's live calls fail, judged by the latest ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.storage.recent_calls import RecentCall, RecentCalls

LATEST = 20
_LIVE_SCRIPTS = ("get_action", "set_reward")


@dataclass(frozen=True)
class Failing:
    """A script that failed in ``failed`` of its latest ``calls`` calls; ``message`` and ``line`` of the newest."""

    script: str
    failed: int
    calls: int
    message: str
    line: int | None


def failing_of(script: str, calls: Iterable[RecentCall]) -> Failing | None:
    """The verdict on a script's calls: it fails if more than half of the latest 20 did.

    A share and not the newest call alone: one bad input among many good ones is no reason for alarm.
    """
    latest = sorted(calls, key=lambda call: call.date, reverse=True)[:LATEST]
    failures = [call for call in latest if call.message is not None]
    if 2 * len(failures) <= len(latest):
        return None
    newest = failures[0]
    return Failing(script, len(failures), len(latest), newest.message or "", newest.line)


async def find_failing(recent: RecentCalls, exp_id: str, revision: int) -> Failing | None:
    """The first script that fails in this revision; earlier revisions say nothing about this one.

    Failures are stored at a rate of at most ten a second, so under heavy traffic a share below one is underestimated.
    """
    failed = [call for call in await recent.failed(exp_id, 2 * LATEST) if call.revision == revision]
    for script in _LIVE_SCRIPTS:
        failures = [call for call in failed if call.script == script]
        if failures:
            fine = [call for call in await recent.succeeded(exp_id, script, LATEST) if call.revision == revision]
            found = failing_of(script, failures + fine)
            if found:
                return found
    return None
