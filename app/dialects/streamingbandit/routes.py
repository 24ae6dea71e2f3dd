"""The URL table: fixed words in any case, ids exactly."""

from __future__ import annotations

from app.dialects.streamingbandit.handlers import accounts, decisions, experiments, simulations, statistics, trials

_ID = r"([0-9A-Za-z_-]{1,64})"

ROUTES = [
    (rf"/(?i:getaction)/{_ID}", decisions.GetAction),
    (rf"/(?i:setreward)/{_ID}", decisions.SetReward),
    (rf"/(?i:getaction)/{_ID}/(?i:batch)", decisions.GetActions),
    (rf"/(?i:setreward)/{_ID}/(?i:batch)", decisions.SetRewards),
    (r"/(?i:exp)", experiments.ExperimentsHandler),
    (r"/(?i:exp/check)", experiments.CheckHandler),
    (r"/(?i:exp/defaults)", experiments.Defaults),
    (rf"/(?i:exp/defaults)/{_ID}", experiments.OneDefault),
    (rf"/(?i:exp)/{_ID}", experiments.OneExperiment),
    (rf"/(?i:exp)/{_ID}/(?i:resetexperiment)", experiments.Reset),
    (rf"/(?i:exp)/{_ID}/(?i:revisions)", experiments.Revisions),
    (rf"/(?i:exp)/{_ID}/(?i:revisions)/([0-9]{{1,9}})", experiments.OneRevision),
    (rf"/(?i:exp)/{_ID}/(?i:revisions)/([0-9]{{1,9}})/(?i:restore)", experiments.Restore),
    (rf"/(?i:exp)/{_ID}/(?i:try)", trials.Try),
    (rf"/(?i:stats)/{_ID}/(?i:currenttheta)", statistics.CurrentTheta),
    (rf"/(?i:stats)/{_ID}/(?i:hourlytheta)", statistics.HourlyTheta),
    (rf"/(?i:stats)/{_ID}/(?i:actionlog)", statistics.ActionLog),
    (rf"/(?i:stats)/{_ID}/(?i:decisions)", statistics.RewardedDecisions),
    (rf"/(?i:stats)/{_ID}/(?i:rewardlog)", statistics.RewardLog),
    (rf"/(?i:stats)/{_ID}/(?i:simulationlog)", statistics.SimulationLog),
    (rf"/(?i:stats)/{_ID}/(?i:log)", statistics.ManualLog),
    (rf"/(?i:stats)/{_ID}/(?i:errors)", statistics.ErrorLog),
    (rf"/(?i:stats)/{_ID}/(?i:summary)", statistics.SummaryHandler),
    (rf"/(?i:stats)/{_ID}/([A-Za-z]+)/(?i:export)", statistics.ExportHandler),
    (rf"/(?i:eval)/{_ID}/(?i:simulate)", simulations.SimulateHandler),
    (rf"/(?i:eval)/{_ID}/(?i:simulations)", simulations.SimulationsHandler),
    (rf"/(?i:eval)/{_ID}/(?i:simulations)/{_ID}", simulations.OneSimulation),
    (r"/(?i:user)", accounts.UserHandler),
    (r"/(?i:login)", accounts.Login),
    (r"/(?i:logout)", accounts.Logout),
    (r"/(?i:logout/everywhere)", accounts.LogoutEverywhere),
    (r"/(?i:users)", accounts.UsersHandler),
    (r"/(?i:users)/([^/]{1,200})", accounts.OneUser),
]
