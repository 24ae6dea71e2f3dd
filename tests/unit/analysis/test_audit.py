"""The audit: false alarms at their rate, and wrong propensities found."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from app.analysis.arrays import to_json
from app.analysis.audit.audit import Difference, Replay, audit
from app.analysis.audit.dispersion import dispersion
from app.analysis.audit.frequency import Executed, strata
from app.analysis.evidence import (
    alarm_limit,
    choice_evidence,
    count_evidence,
    highest_evidence,
    mean_weight_evidence,
)
from app.analysis.log import DecisionLog
from tests.unit.analysis.logs import w_log

LOG = w_log()


def close(value: object) -> object:
    return pytest.approx(value, rel=1e-9)


def executed(p: float, truth: float, rows: int, draws: int, rng: np.random.Generator) -> list[Executed]:
    """Decisions of arm "a" that declare p and choose it with probability ``truth``."""
    return [Executed(1, "a", p, int(hits)) for hits in rng.binomial(draws, truth, rows)]


@pytest.mark.parametrize(
    ("hits", "trials", "p", "expected"),
    [
        (60, 100, 0.5, 0.3548101597),
        (5200, 10_000, 0.5, 5.155552251),
        (1615, 1700, 0.9, 23.93719655),
        (190, 200, 0.05, 321.9175209),
        (5, 100, 0.05, -0.448913122),
    ],
)
def test_evidence(hits: int, trials: int, p: float, expected: float) -> None:
    assert count_evidence(hits, trials, p) == close(expected)
    assert choice_evidence(np.repeat([1.0, 0.0], [hits, trials - hits]), np.full(trials, p)) == close(expected)
    assert choice_evidence(np.array([float(hits)]), np.array([p]), trials) == close(expected)


def test_evidence_of_mean_weights() -> None:
    assert mean_weight_evidence(np.repeat([5 / 9, 10.0], [85, 15])) == close(6.240914537)


def test_evidence_is_a_martingale() -> None:
    """Summed over all outcomes of ten draws with their probabilities, E is 1."""
    p, n = 0.3, 10
    total = sum(stats.binom.pmf(y, n, p) * np.exp(count_evidence(y, n, p)) for y in range(n + 1))
    assert total == close(1.0)


def test_the_highest_evidence_is_that_of_the_best_moment() -> None:
    rng = np.random.default_rng(1)
    y, p = (rng.random(500) < 0.6).astype(float), np.full(500, 0.5)
    y[300:] = 0.0
    paths = [choice_evidence(y[: t + 1], p[: t + 1]) for t in range(500)]
    assert highest_evidence(y, p) == close(max(0.0, *paths))


def test_a_script_that_declares_one_thing_and_does_another_is_found() -> None:
    """It declares .9 and .05, and draws with .95 and .05."""
    rows = [Executed(1, "a", 0.9, 19)] * 85 + [Executed(1, "b", 0.05, 19)] * 10 + [Executed(1, "c", 0.05, 1)] * 5
    found = strata(rows, 20)
    assert [each.log_evidence for each in found] == close([23.93719655, 321.9175209, -0.448913122])
    assert [each.alarm for each in found] == [True, True, False]
    result = audit(LOG, rows)
    assert result.verdict == "disagrees"
    assert "Arm a of revision 1 declares 0.9 and was chosen in 1615 of 1700 runs." in result.text
    json.dumps(to_json(result), allow_nan=False)


def test_false_alarms_stay_below_their_rate_however_often_one_looks() -> None:
    """Of 4,000 honest experiments, looked at after every row, 4 alarms are the most that is allowed on average."""
    rng, runs, n = np.random.default_rng(7), 4000, 400
    p = rng.uniform(0.05, 0.95, (runs, n))
    y = (rng.random((runs, n)) < p).astype(float)
    limit = alarm_limit(1)
    alarms = sum(highest_evidence(y[run], p[run]) >= limit for run in range(runs))
    assert alarms <= 4 + 3 * 2


def test_an_honest_script_is_found_honest() -> None:
    rng = np.random.default_rng(3)
    rows = [row for p in (0.05, 0.3, 0.5, 0.9) for row in executed(p, p, 125, 20, rng)]
    result = audit(LOG, rows, replay=Replay(500, 500))
    assert (result.verdict, result.rows, result.mean_weight.alarm) == ("agrees", 500, False)
    assert abs(result.dispersion.z) < 4
    assert all(abs(each.z) < 4 for each in result.strata)


@pytest.mark.parametrize("p", [0.3, 0.5, 0.7])
def test_a_propensity_falsified_by_a_tenth_is_found_within_five_thousand_decisions(p: float) -> None:
    """Over 20 seeds, of which each must find it."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert strata(executed(1.1 * p, p, 5000, 20, rng), 20)[0].alarm


def test_dispersion_has_the_mean_and_variance_of_its_formula() -> None:
    """Summed over all outcomes of one row with their probabilities."""
    for p in (0.05, 0.3, 0.8):
        outcomes = np.arange(21)
        chances = stats.binom.pmf(outcomes, 20, p)
        each = [dispersion([Executed(1, "a", p, int(hits))], 20) for hits in outcomes]
        x2 = np.array([one.x2 for one in each])
        assert chances @ x2 == close(each[0].mean)
        assert np.sqrt(chances @ (x2 - 1) ** 2) == close(each[0].sd)


def test_errors_that_cancel_out_show_in_the_dispersion() -> None:
    rng = np.random.default_rng(6)
    rows = [*executed(0.5, 0.2, 100, 20, rng), *executed(0.5, 0.8, 100, 20, rng)]
    assert dispersion(rows, 20).z > 10


def test_what_is_impossible_alarms_at_once() -> None:
    assert strata([Executed(1, "a", 1.0, 19)], 20)[0].alarm
    assert strata([Executed(1, "a", 0.0, 0)], 20)[0].alarm
    assert not strata([Executed(1, "a", 1.0, 20)], 20)[0].alarm
    assert audit(LOG, impossible=2).verdict == "disagrees"


def test_sticky_units_raise_no_alarm() -> None:
    rows = [Executed(1, "a", 0.5, 20, single=True, seen=True)] * 100
    result = audit(LOG, rows)
    assert (result.verdict, result.sticky, result.strata) == ("agrees", 100, ())
    assert audit(LOG, [Executed(1, "a", 0.5, 20, single=True)] * 100).verdict == "disagrees"


def test_sums_above_one_are_a_defect_and_below_it_are_not() -> None:
    assert audit(LOG, [Executed(1, "a", 0.5, 10, total=1.1)]).verdict == "disagrees"
    assert audit(LOG, [Executed(1, "a", 0.5, 10, total=0.9)]).verdict == "agrees"


def test_propensities_that_are_too_small_show_without_running_anything() -> None:
    """Every propensity is half of the truth, so weights average 2."""
    log = DecisionLog(("a", "b"), np.arange(200) % 2, np.full(200, 0.25), np.zeros(200))
    result = audit(log)
    assert (result.verdict, result.mean_weight.mean) == ("disagrees", 2.0)
    assert audit(LOG).verdict == "agrees"


def test_rows_that_cannot_be_replayed_are_told() -> None:
    gone = Replay(10, 9, (Difference("7", "action.arm", "a", "b"),))
    result = audit(LOG, [Executed(1, "a", 0.5, 10)], replay=gone)
    assert result.verdict == "cannot replay"
    assert "1 of 10" in result.text


def test_what_cannot_be_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="draws"):
        audit(LOG, draws=0)
    with pytest.raises(ValueError, match="hits"):
        strata([Executed(1, "a", 0.5, 21)], 20)
    with pytest.raises(ValueError, match="p:"):
        strata([Executed(1, "a", 1.5, 1)], 20)
    assert audit(LOG.rows(slice(0, 0))).mean_weight.mean is None
