"""The sentences of a report, by rule. Programs don't read them; they may change."""

from __future__ import annotations

from app.analysis.ab.plan.request import PlanRequest
from app.analysis.ab.report.description import Description

DIAGNOSTIC = ("Persons per variant against the planned split", "Events per person and day", "Errors and load times")


def summary(request: PlanRequest, metric: str, n: int, days: int) -> str:
    """What is planned, in one sentence."""
    if request.test == "tost":
        aim = f"show that {metric} changes by less than {request.equivalence_margin_pct:g} %"
    else:
        aim = f"detect a relative change of {request.mde_pct:g} % in {metric}"
    return f"To {aim}, each of {request.variants_count} variants needs {n} persons, which takes {days} days."


def whole_weeks(days: int) -> int:
    """Days rounded up to weeks from one week on, since days of the week differ.

    >>> whole_weeks(3), whole_weeks(15), whole_weeks(21)
    (7, 21, 21)
    """
    return 7 * max(1, -(-days // 7))


def given(*texts: str) -> tuple[str, ...]:
    """Those that aren't empty."""
    return tuple(text.strip() for text in texts if text.strip())


def stopping_conditions(request: PlanRequest) -> tuple[str, ...]:
    """When the experiment ends."""
    found = [
        "The planned number of persons is reached.",
        "The split of persons isn't as planned: stop and find out why.",
    ]
    if request.n_looks > 1:
        found.append(f"The boundary is crossed at one of {request.n_looks} planned looks.")
    return (*found, "A guardrail is breached.")


def before_launch(request: PlanRequest) -> tuple[str, ...]:
    """What to do before the test."""
    found = ["Check that events arrive once each, with the right variant.", "Run an A/A test for a day."]
    if request.cuped is not None:
        found.append("Collect the covariate from before the test for every person.")
    if request.clusters is not None:
        found.append("Assign whole clusters, and store the cluster of each person.")
    return tuple(found)


def during_test(request: PlanRequest) -> tuple[str, ...]:
    """What to do while it runs."""
    looks = "Take each planned look once." if request.n_looks > 1 else "Don't stop at a small p-value before the end."
    return (looks, "Watch the split of persons and the guardrails.", "Don't change variants or metrics.")


def after_test(request: PlanRequest) -> tuple[str, ...]:
    """What to do when it is over."""
    found = ["Report the effect with its interval, not only the p-value.", "Keep the plan beside the result."]
    if request.variants_count > 2:
        found.append("Hold each comparison with control at the divided level.")
    return tuple(found)


def open_questions(request: PlanRequest, description: Description) -> tuple[str, ...]:
    """What the plan leaves open."""
    rules = {
        "Which metric must not get worse? No guardrail is named.": not description.guardrails,
        "Who is the target audience?": not description.target_audience.strip(),
        "What changes in treatment?": not description.change.strip(),
        "Do persons who return see the same variant?": description.returning_users_present,
        "How large and how alike are the clusters?": request.randomization_unit == "cluster" and not request.clusters,
    }
    return tuple(question for question, applies in rules.items() if applies)
