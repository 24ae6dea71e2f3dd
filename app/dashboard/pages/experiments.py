"""Experiments as a list; making and deleting one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from app.dashboard.base import HOME, PageHandler
from app.domain.experiment import ExperimentListItem
from app.services.statistics import Summary

_PER_PAGE = 25
_MAX_SEARCH = 200
# How the ready-made experiments are offered, by their pinned ids; those that are missing here come last.
_GROUPS = (
    ("Good to begin with", (0, 11, 20)),
    ("One best option for everybody", (3, 12, 2, 13, 14, 15, 16, 17, 18, 23)),
    ("The best option depends on the visitor", (19, 21, 22, 6)),
    ("The best value of a number, such as a price", (9, 1, 4)),
    ("Studies and other designs", (8, 10, 5, 7, 24)),
)


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
        search = self.get_query_argument("q", "")[:_MAX_SEARCH]
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


class NewExperimentPage(PageHandler):
    """``/ui/experiments/new``."""

    def get(self) -> None:
        """A name, and what to start from."""
        defaults = {default.id: default for default in self.services.catalogue.all()}
        grouped = [(title, [defaults.pop(id) for id in ids if id in defaults]) for title, ids in _GROUPS]
        groups = [(title, found) for title, found in [*grouped, ("More", list(defaults.values()))] if found]
        self.show("new_experiment.html", groups=groups, chosen=groups[0][1][0].id if groups else None)


class DeleteExperimentPage(PageHandler):
    """``/ui/experiments/EXP_ID/delete``."""

    async def get(self, exp_id: str) -> None:
        """What is lost, and a field for the name."""
        experiment = await self.services.experiments.find(self.reader, exp_id)
        summary = await self.services.statistics.summary(exp_id)
        self.show(
            "delete_experiment.html",
            experiment=experiment,
            decisions=summary.get_action_calls,
            rewards=summary.set_reward_calls,
        )


def _row(one: ExperimentListItem, summary: Summary) -> Row:
    last = max(filter(None, (summary.last_added_get_action, summary.last_added_set_reward)), default=None)
    state, explained = _state(one, summary)
    return Row(
        one.id, one.name, one.created, summary.get_action_calls, summary.set_reward_calls, last, state, explained
    )


def _state(one: ExperimentListItem, summary: Summary) -> tuple[str, str]:
    """A word for where the experiment stands, and what it means."""
    if not one.has_policy:
        return "draft", "It has no script get_action yet, so it answers with an empty action."
    if not summary.get_action_calls:
        return "ready", "It waits for the first call from your web page."
    if not summary.set_reward_calls:
        return "no rewards", "Actions are given, but no reward was reported yet."
    return "running", "Actions are given and rewards come in."
