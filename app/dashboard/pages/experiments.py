"""The list of experiments, and the pages that create, reset and delete one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from app.dashboard.base import HOME, PageHandler
from app.dashboard.failure_text import FailureText
from app.domain.experiment import ExperimentListItem
from app.services.failing import Failing
from app.services.statistics import Summary

_PER_PAGE = 25
_MAX_SEARCH = 200
# How the templates are grouped, by their pinned ids; those that are missing here come last.
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
    problem: str = ""


class ExperimentsPage(PageHandler):
    """``/ui/experiments``: a page of them at a time, so that a thousand cost no more than a few."""

    async def get(self) -> None:
        """Those whose name has the words that are searched for, with their counts."""
        search = self.get_query_argument("q", "")[:_MAX_SEARCH]
        page = self._page()
        found, total = await self.services.experiments.listed(
            self.reader, search, skip=(page - 1) * _PER_PAGE, limit=_PER_PAGE
        )
        ids = [one.id for one in found]
        summaries = await self.services.statistics.summaries(ids)
        failing = await self.services.statistics.failing(ids)
        self.show(
            "experiments.html",
            rows=[_row(one, summaries[one.id], failing.get(one.id)) for one in found if one.id in summaries],
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
    """``/ui/experiments/new``; with ``?from=EXP_ID`` it offers a copy of that experiment."""

    async def get(self) -> None:
        """A name, and what to start from."""
        copied = self.get_query_argument("from", "")
        original = await self.services.experiments.find(self.reader, copied) if copied else None
        templates = {template.id: template for template in self.services.catalogue.all()}
        grouped = [(title, [templates.pop(id) for id in ids if id in templates]) for title, ids in _GROUPS]
        groups = [(title, found) for title, found in [*grouped, ("More", list(templates.values()))] if found]
        self.show(
            "new_experiment.html",
            groups=groups,
            original=original,
            chosen=groups[0][1][0].id if groups and not original else None,
        )


class ConfirmationPage(PageHandler):
    """A page that says what is lost, and asks for the experiment's name before it happens."""

    template = ""

    async def get(self, exp_id: str) -> None:
        """The page."""
        experiment = await self.services.experiments.find(self.reader, exp_id)
        summary = await self.services.statistics.summary(exp_id)
        self.show(
            self.template,
            experiment=experiment,
            decisions=summary.get_action_calls,
            rewards=summary.set_reward_calls,
        )


class DeleteExperimentPage(ConfirmationPage):
    """``/ui/experiments/EXP_ID/delete``."""

    template = "delete_experiment.html"


class ResetExperimentPage(ConfirmationPage):
    """``/ui/experiments/EXP_ID/reset``."""

    template = "reset_experiment.html"


def _row(one: ExperimentListItem, summary: Summary, failing: Failing | None) -> Row:
    last = max(filter(None, (summary.last_added_get_action, summary.last_added_set_reward)), default=None)
    counts = summary.get_action_calls, summary.set_reward_calls
    if failing:
        problem = FailureText.of(failing)
        return Row(one.id, one.name, one.created, *counts, last, "failing", problem.explained, problem.problem)
    return Row(one.id, one.name, one.created, *counts, last, *_state(one, summary))


def _state(one: ExperimentListItem, summary: Summary) -> tuple[str, str]:
    """A word for the state of an experiment whose scripts do not fail, and what it means."""
    if not one.has_policy:
        return "draft", "It has no script get_action yet, so it answers with an empty action."
    if not summary.get_action_calls:
        return "ready", "It waits for the first call from your web page."
    if not summary.set_reward_calls:
        return "no rewards", "Actions are given, but no reward was reported yet."
    return "running", "Actions are given and rewards come in."
