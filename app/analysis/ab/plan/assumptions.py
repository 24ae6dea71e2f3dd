"""What a plan takes for granted, in words."""

from __future__ import annotations

from app.analysis.ab.plan.request import PlanRequest

_METRIC = {
    "binary": "Each person converts or not, independently of others.",
    "continuous": "The means of both arms are close to normal, with one standard deviation for all arms.",
    "ratio": "The standard deviation is that of Y - R·X over the mean of X, one value per person.",
    "count": "Events follow a Poisson law: those of one person are independent (no overdispersion).",
}
_TEST = {
    "z_test": "A two-sided z test compares each variant with control.",
    "poisson_rate": "The exact conditional test compares each variant's rate with that of control.",
    "fisher_exact": "Fisher's two-sided exact test compares each variant with control.",
    "mann_whitney": "The Mann-Whitney test looks for a shift; values are taken as normal for its efficiency.",
    "tost": "Two one-sided tests show equivalence, where the true difference is 0.",
}


def assumptions(request: PlanRequest, test: str) -> tuple[str, ...]:
    """Sentences about metric, test, traffic and whatever else the plan uses."""
    found = [_METRIC[request.metric_type], _TEST[test], "Traffic and baseline stay as they are during the experiment."]
    if request.variants_count > 2:
        found.append(f"Each of {request.variants_count - 1} comparisons is made at level {request.alpha_each:.4g}.")
    if request.clusters:
        found.append(f"Clusters are of like size; the design effect is {request.clusters.effect:.4g}.")
    if request.cuped:
        found.append("The covariate is measured before exposure and is known for every person.")
    if request.n_looks > 1:
        found.append("Looks come at equal shares of the sample.")
    if request.holdout_fraction:
        found.append(f"A share of {request.holdout_fraction:g} of the traffic is held out.")
    if (request.mutually_exclusive_experiments or 1) > 1:
        found.append(f"{request.mutually_exclusive_experiments} exclusive experiments share the traffic evenly.")
    return tuple(found)
