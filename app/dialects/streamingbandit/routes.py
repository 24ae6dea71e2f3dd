"""The URL table: fixed words in any case, ids exactly."""

from __future__ import annotations

from app.dialects.streamingbandit import accounts, core, experiments, statistics

_ID = r"([0-9A-Za-z_-]{1,64})"

ROUTES = [
    (rf"/(?i:getaction)/{_ID}", core.GetAction),
    (rf"/(?i:setreward)/{_ID}", core.SetReward),
    (rf"/(?i:getaction)/{_ID}/(?i:batch)", core.GetActions),
    (rf"/(?i:setreward)/{_ID}/(?i:batch)", core.SetRewards),
    (r"/(?i:exp)", experiments.Experiments),
    (r"/(?i:exp/check)", experiments.Check),
    (r"/(?i:exp/defaults)", experiments.Defaults),
    (rf"/(?i:exp/defaults)/{_ID}", experiments.OneDefault),
    (rf"/(?i:exp)/{_ID}", experiments.OneExperiment),
    (rf"/(?i:stats)/{_ID}/(?i:currenttheta)", statistics.CurrentTheta),
    (rf"/(?i:stats)/{_ID}/(?i:summary)", statistics.SummaryHandler),
    (r"/(?i:user)", accounts.UserHandler),
    (r"/(?i:login)", accounts.Login),
    (r"/(?i:logout)", accounts.Logout),
]
