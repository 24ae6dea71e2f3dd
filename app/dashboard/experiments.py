"""The list of experiments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from app.dashboard.page import HOME, PageHandler
from app.domain.experiment import Listed
from app.services.statistics import Summary

_PER_PAGE = 25
_LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Row:
    """An experiment as the list shows it."""

    id: str
    name: str
    created: datetime
    decisions: int
    rewards: int
    last: datetime | None
    state: str
    explained: str


class ExperimentsPage(PageHandler):
    """``/ui/experiments``: a page of them at a time, so that a thousand cost no more than a few."""

    async def get(self) -> None:
        """Those whose name has the words that are searched for, with their counts."""
        search = self.get_query_argument("q", "")[:_LONGEST_SEARCH]
        page = self._page()
        found, total = await self.services.experiments.listed(
            self.reader, search, skip=(page - 1) * _PER_PAGE, limit=_PER_PAGE
        )
        summaries = await self.services.statistics.summaries([one.id for one in found])
        self.show(
            "experiments.html",
            rows=[_row(one, summaries[one.id]) for one in found if one.id in summaries],
            search=search,
            total=total,
            page=page,
            pages=max(1, -(-total // _PER_PAGE)),
            page_url=lambda number: (
                f"{HOME}?{urlencode({'q': search, 'page': number} if search else {'page': number})}"
            ),
        )

    def _page(self) -> int:
        text = self.get_query_argument("page", "1")
        return max(1, int(text)) if text.isdecimal() and len(text) < 7 else 1


def _row(one: Listed, summary: Summary) -> Row:
    last = max(filter(None, (summary.last_added_get_action, summary.last_added_set_reward)), default=None)
    state, explained = _state(one, summary)
    return Row(
        one.id, one.name, one.created, summary.get_action_calls, summary.set_reward_calls, last, state, explained
    )


def _state(one: Listed, summary: Summary) -> tuple[str, str]:
    """A word for where the experiment stands, and what it means."""
    if not one.has_policy:
        return "draft", "It has no script get_action yet, so it answers with an empty action."
    if not summary.get_action_calls:
        return "ready", "It waits for the first call from your web page."
    if not summary.set_reward_calls:
        return "no rewards", "Actions are given, but no reward was reported yet."
    return "running", "Actions are given and rewards come in."
