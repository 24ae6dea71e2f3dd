"""Whether an estimate may be believed: answer, caution or refuse, with reasons in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.analysis.ope.weights import Weights


@dataclass(frozen=True)
class Reason:
    """What speaks against an estimate: the figure, the limit that it crossed, and a sentence."""

    code: str
    value: float | int | None
    limit: float | int | None
    text: str


@dataclass(frozen=True)
class Verdict:
    """``answer``, ``caution`` or ``refuse``, and why."""

    verdict: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Circumstances:
    """What a verdict looks at beside the weights.

    ``missing_as`` is how missing rewards count; whoever chose it is not refused for their number. ``coarse``,
    ``continuous`` and ``audit_failed`` refuse by themselves.
    """

    n: int
    no_propensity: int = 0
    missing: int = 0
    missing_as: str = "refuse"
    mc_share: float | None = None
    coarse: bool = False
    continuous: bool = False
    audit_failed: bool = False


@dataclass(frozen=True)
class _Rule:
    """Limits beyond which a figure cautions or refuses (None: never), and the sentence for each."""

    code: str
    caution: float | None
    refuse: float | None
    cautioned: str
    refused: str
    below: bool = False

    def judge(self, value: float | None, shown: float | None = None, n: int = 0) -> tuple[bool, Reason] | None:
        """Whether the figure refuses, and the reason; None where nothing speaks against it.

        ``shown`` stands in the sentence where it is not the figure that is compared.
        """
        if value is None:
            return None
        told = value if shown is None else shown
        for refuses, limit, text in ((True, self.refuse, self.refused), (False, self.caution, self.cautioned)):
            if limit is not None and (value < limit if self.below else value > limit):
                return refuses, Reason(self.code, told, limit, text.format(x=_plain(told), n=n))
        return None


_RULES = {
    rule.code: rule
    for rule in (
        _Rule(
            "few_rows", 1000, 100, "Only {x} finished decisions.", "Only {x} finished decisions: too few.", below=True
        ),
        _Rule(
            "ess",
            400,
            100,
            "{n} decisions are worth {x} for this candidate.",
            "{n} decisions are worth {x} for this candidate: the log rarely did what it would do.",
            below=True,
        ),
        _Rule(
            "one_row",
            0.03,
            0.10,
            "One decision carries {x} of the weight.",
            "One decision carries {x} of the weight; the estimate is that visitor.",
        ),
        _Rule(
            "mean_weight",
            0.05,
            0.10,
            "Weights average {x}, not 1.",
            "Weights average {x}, not 1: the log has not yet met the rare cases that count.",
        ),
        _Rule(
            "unsupported",
            0.001,
            0.05,
            "The candidate spends {x} of its decisions on arms this log could not show.",
            "The candidate spends {x} of its decisions on arms this log could not show.",
        ),
        _Rule("few_events", 20, None, "Rests on about {x} rewards: believe the sequence only.", "", below=True),
        _Rule("no_propensity", 0, 0.01, "{x} decisions have no propensity.", "{x} decisions have no propensity."),
        _Rule("missing", 0, 0.01, "{x} finished decisions have no reward.", "{x} finished decisions have no reward."),
        _Rule(
            "monte_carlo",
            0.1,
            0.5,
            "Re-execution is {x} of the error; more draws would narrow it.",
            "Raise draws: re-execution is half of the error.",
        ),
    )
}
_MISSING_AS: Mapping[str, str] = {
    "drop": " Leaving them out is right only if missingness does not depend on the action.",
    "default": " They count as the default reward.",
    "bounds": " They count as lo, then as hi: the interval is the union.",
}
_ALWAYS: Mapping[str, str] = {
    "audit": "The audit of this log's propensities disagrees with what was declared.",
    "coarse_action": "Several actions share a value of action_key, and no pmf says how likely the value is.",
    "continuous": "Almost every decision has an action of its own: a price has no propensity.",
}


def judge(weights: Weights, found: Circumstances) -> Verdict:
    """The verdict on one estimate, by the limits of the table in ``docs/analysis.rst``."""
    judged = [
        _RULES["few_rows"].judge(found.n),
        _RULES["ess"].judge(_smaller(weights), n=found.n),
        _RULES["one_row"].judge(weights.max_share),
        None if weights.mean is None else _RULES["mean_weight"].judge(abs(weights.mean - 1.0), weights.mean),
        _RULES["unsupported"].judge(weights.unsupported),
        _RULES["few_events"].judge(weights.event_ess),
        _counted("no_propensity", found.no_propensity, found.n + found.no_propensity),
        _counted("missing", found.missing, found.n, found.missing_as),
        _RULES["monte_carlo"].judge(found.mc_share),
    ]
    told = [one for one in judged if one is not None]
    flags = {"audit": found.audit_failed, "coarse_action": found.coarse, "continuous": found.continuous}
    told += [(True, Reason(code, None, None, _ALWAYS[code])) for code, flag in flags.items() if flag]
    refused = any(refuses for refuses, _ in told)
    # What refuses comes first: it is what must be changed.
    ordered = tuple(reason for _, reason in sorted(told, key=lambda one: not one[0]))
    return Verdict("refuse" if refused else "caution" if told else "answer", ordered)


def _smaller(weights: Weights) -> float:
    return weights.ess if weights.design_ess is None else min(weights.ess, weights.design_ess)


def _counted(code: str, count: int, rows: int, chosen: str = "refuse") -> tuple[bool, Reason] | None:
    """A rule on a share of rows whose sentence names their count."""
    judged = _RULES[code].judge(count / max(1, rows)) if count else None
    if judged is None:
        return None
    refuses = judged[0] and chosen == "refuse"
    text = _RULES[code].refused.format(x=count) + _MISSING_AS.get(chosen, "")
    return refuses, Reason(code, count, judged[1].limit if refuses else _RULES[code].caution, text)


def _plain(value: float) -> str:
    """A figure for a sentence.

    >>> _plain(100.4), _plain(0.69361), _plain(2.0778)
    ('100', '0.694', '2.08')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
