"""What an experiment learned and how often it was called."""

from __future__ import annotations

from app.dialects.streamingbandit.wire import summary_row
from app.http.base import JsonHandler


class CurrentTheta(JsonHandler):
    """``/stats/EXP_ID/currenttheta``."""

    async def get(self, exp_id: str) -> None:
        """Theta as ``get_theta()`` gives it."""
        await self.services.experiments.find(await self.require_user(), exp_id)
        self.send(await self.services.statistics.current_theta(exp_id, self.get_query_argument("name", "_theta")))


class SummaryHandler(JsonHandler):
    """``/stats/EXP_ID/summary``."""

    async def get(self, exp_id: str) -> None:
        """Counts and newest dates."""
        await self.services.experiments.find(await self.require_user(), exp_id)
        self.send(summary_row(await self.services.statistics.summary(exp_id)))
