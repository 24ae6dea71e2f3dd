"""Off-policy evaluation at its edges: identical policies, no support, no rows, rewards all alike."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from app.analysis.arrays import to_json
from app.analysis.log import DecisionLog
from app.analysis.ope.candidate import Target, candidate_of, one_arm, table, uniform
from app.analysis.ope.evaluate import Origin, evaluate
from app.analysis.ope.options import OffPolicyOptions
from app.analysis.ope.tail import hill, khat, pareto_shape
from tests.unit.analysis.logs import targets, w_log

LOG = w_log()
TARGETS = targets(LOG)


def codes(found: object) -> list[str]:
    return [reason.code for reason in found.reasons]  # type: ignore[attr-defined]


def test_the_logged_policy_evaluates_to_the_mean_of_its_log() -> None:
    target = Target.of(LOG.pmf, LOG)
    found = evaluate(LOG, target)
    assert np.abs(target.weights(LOG) - 1).max() <= 1e-12
    for name in ("ips", "snips"):
        assert found.estimates[name].value == pytest.approx(LOG.reward.mean(), rel=1e-12)
    assert found.estimates["ips"].se == pytest.approx(found.logged.se, rel=1e-12)
    assert found.weights.ess == pytest.approx(2000, rel=1e-12)
    assert found.verdict == "answer"


def test_a_candidate_without_support_is_refused_with_the_share_that_is_lost() -> None:
    """In contexts with x = 1, 39.95 % of the rows, the log never chose what the candidate would."""
    pmf = LOG.pmf.copy()
    x = np.asarray(LOG.context["x"])
    pmf[x == 1] = [1.0, 0.0, 0.0]
    log = replace(
        LOG, pmf=pmf, chosen=np.where(x == 1, 0, LOG.chosen), propensity=np.where(x == 1, 1.0, LOG.propensity)
    )
    found = evaluate(log, Target.of(TARGETS["T2"], log))
    assert (found.verdict, found.estimates, found.lift) == ("refuse", None, None)
    reason = next(reason for reason in found.reasons if reason.code == "unsupported")
    assert reason.value == pytest.approx(799 / 2000)
    assert reason.text == "The candidate spends 0.4 of its decisions on arms this log could not show."
    assert found.sequence.low <= 0.54 <= found.sequence.high


def test_an_arm_that_is_not_in_the_log_has_no_support() -> None:
    found = evaluate(LOG, one_arm(LOG, "d"))
    assert found.weights.unsupported == 1.0
    assert (found.sequence.low, found.sequence.high, found.verdict) == (0.0, 1.0, "refuse")
    bare = replace(LOG, pmf=None, arms=("a", "b", "c", "never"))
    assert evaluate(bare, one_arm(bare, "never")).weights.unsupported == 1.0


def test_no_rows() -> None:
    empty = LOG.rows(slice(0, 0))
    found = evaluate(empty, Target.of(empty.pmf, empty), OffPolicyOptions(clip=2.0, adaptive=False, floor=0.1))
    assert (found.n, found.verdict, found.reasons[0].code) == (0, "refuse", "few_rows")
    json.dumps(to_json(found), allow_nan=False)


def test_rewards_all_alike_have_no_standard_error_but_a_sequence() -> None:
    alike = LOG.with_reward(np.ones(2000))
    found = evaluate(alike, Target.of(LOG.pmf, LOG))
    assert (found.estimates["ips"].value, found.estimates["ips"].se) == (1.0, 0.0)
    assert found.sequence.low < 1.0 == found.sequence.high
    nothing = evaluate(LOG.with_reward(np.zeros(2000)), Target.of(TARGETS["T3"], LOG))
    assert codes(nothing) == ["few_events"]
    json.dumps(to_json(nothing), allow_nan=False)


def test_one_arm() -> None:
    log = DecisionLog(("a",), np.zeros(2000, int), np.ones(2000), LOG.reward, pmf=np.ones((2000, 1)), lo=0.0, hi=1.0)
    found = evaluate(log, uniform(log))
    assert (found.verdict, found.estimates["dr"].value) == ("answer", pytest.approx(0.3835))


def test_without_bounds_the_sequence_is_asymptotic_and_tau_is_not_chosen() -> None:
    found = evaluate(replace(LOG, lo=None, hi=None), Target.of(TARGETS["T3"], LOG))
    assert found.sequence.method == "asymptotic"
    assert found.sequence.low < found.estimates["dr"].value < found.sequence.high
    assert "switch_dr" not in found.estimates


def test_one_row_that_carries_the_weight_is_refused() -> None:
    n = 2000
    p = np.full(n, 0.5)
    p[7] = 0.001
    log = DecisionLog(("a", "b"), np.zeros(n, int), p, np.zeros(n), lo=0.0, hi=1.0)
    found = evaluate(log, one_arm(log, "a"))
    assert found.verdict == "refuse"
    assert {"one_row", "ess", "mean_weight"} <= set(codes(found))
    assert found.weights.max_share == pytest.approx(1000 / (1000 + 1999 * 2))


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        (Origin(audit_failed=True), "audit"),
        (Origin(coarse=True), "coarse_action"),
        (Origin(excluded={"no_propensity": 30}), "no_propensity"),
    ],
)
def test_what_refuses_by_itself(origin: Origin, code: str) -> None:
    found = evaluate(LOG, Target.of(TARGETS["T3"], LOG), None, origin)
    assert (found.verdict, codes(found)) == ("refuse", [code])


def test_few_rows_without_propensity_only_caution() -> None:
    found = evaluate(LOG, Target.of(TARGETS["T3"], LOG), None, Origin(excluded={"no_propensity": 3}))
    assert (found.verdict, found.reasons[0].text) == ("caution", "3 decisions have no propensity.")


def test_continuous_actions_are_refused() -> None:
    n = 2000
    log = DecisionLog(tuple(map(str, range(n))), np.arange(n), np.ones(n), np.zeros(n))
    assert "continuous" in codes(evaluate(log, uniform(log)))


def test_the_error_of_re_execution_cautions_and_refuses() -> None:
    own = TARGETS["T3"][:, 0]
    shares = np.round(own * 2) / 2 + 0.0
    found = evaluate(LOG, Target(shares, source="monte_carlo", draws=2))
    assert "monte_carlo" in codes(found)
    assert found.verdict == "refuse"


def test_a_log_that_cannot_be_is_refused_by_name() -> None:
    for column, value, name in (
        ("propensity", np.zeros(2000), "propensity"),
        ("reward", np.full(2000, 2.0), "reward"),
        ("reward", np.zeros(3), "reward"),
        ("pmf", np.full((2000, 3), 0.5), "pmf"),
        ("chosen", np.full(2000, 3), "chosen"),
        ("lo", None, "lo"),
    ):
        with pytest.raises(ValueError, match=name):
            replace(LOG, **{column: value})


@pytest.mark.parametrize(
    ("options", "name"),
    [({"level": 1.0}, "level"), ({"tau": "big"}, "tau"), ({"k": -1.0}, "k"), ({"floor": 0.0}, "floor")],
)
def test_options_that_cannot_be_are_refused_by_name(options: dict[str, object], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        OffPolicyOptions(**options)  # type: ignore[arg-type]
    for wrong, parameter in (({"ridge": 0.0}, "ridge"), ({"blocks": 0}, "blocks"), ({"features": ("y",)}, "features")):
        with pytest.raises(ValueError, match=parameter):
            evaluate(LOG, Target.of(TARGETS["T3"], LOG), OffPolicyOptions(**wrong))  # type: ignore[arg-type]


# Candidates ---------------------------------------------------------------------------------------------------------


def test_a_table_takes_the_first_entry_that_matches() -> None:
    entries = [{"when": {"x": 1}, "pmf": {"b": 1}}, {"when": {"x": 1}, "pmf": {"c": 1}}, {"pmf": {"a": 1.0}}]
    assert table(LOG, entries).pi.tolist() == TARGETS["T2"].tolist()
    assert candidate_of({"table": entries}, LOG).pi.tolist() == TARGETS["T2"].tolist()


def test_uniform_is_over_the_arms_that_were_offered() -> None:
    offered = np.array([[True, True, False], [True, True, True]])
    log = DecisionLog(("a", "b", "c"), np.array([0, 0]), np.array([0.5, 0.2]), np.zeros(2), offered=offered)
    assert uniform(log).own.tolist() == [0.5, 1 / 3]


@pytest.mark.parametrize(
    "candidate",
    [
        {"policy": "best"},
        {"scripts": {}},
        {"arm": "a", "policy": "uniform"},
        {"table": []},
        {"table": [{"pmf": {"a": 0.5}}]},
        {"table": [{"when": {"x": 5}, "pmf": {"a": 1}}]},
        {"table": [{"pmf": {"a": 2, "b": -1}}]},
        {"table": [{"when": 3, "pmf": {"a": 1}}]},
        "uniform",
        None,
    ],
)
def test_a_candidate_that_cannot_be_is_refused_by_name(candidate: object) -> None:
    with pytest.raises(ValueError, match="candidate"):
        candidate_of(candidate, LOG)


def test_probabilities_of_a_candidate_must_be_probabilities() -> None:
    for pi in (TARGETS["T3"] * 0.9, -TARGETS["T3"], TARGETS["T3"][:5]):
        with pytest.raises(ValueError, match="candidate"):
            Target.of(pi, LOG)


# Tails --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_the_shape_of_a_tail_is_that_of_maximum_likelihood(shape: float) -> None:
    excess = np.sort(stats.genpareto.rvs(shape, size=2000, random_state=np.random.default_rng(5)))
    likely, _, _ = stats.genpareto.fit(excess, floc=0)
    assert pareto_shape(excess) == pytest.approx(likely, abs=0.02)


def test_heavy_tails_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    light, heavy = rng.exponential(size=5000), rng.pareto(1.0, size=5000)
    assert khat(light) < 0.4 < 0.8 < khat(heavy)
    assert hill(heavy) == pytest.approx(1.0, abs=0.3)
    assert khat(np.repeat([1.0, 2.0], 500)) is None
    assert hill(np.ones(5)) is None
