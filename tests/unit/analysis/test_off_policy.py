"""Off-policy evaluation: figures of a log that arithmetic fixes, and of logs whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from app.analysis.betting import arm_controls, betting_sequence
from app.analysis.empirical_bernstein import empirical_bernstein
from app.analysis.ope.bernstein import bernstein
from app.analysis.ope.bootstrap import bootstrap
from app.analysis.ope.candidate import Target
from app.analysis.ope.evaluate import OffPolicyResult, evaluate
from app.analysis.ope.options import OffPolicyOptions
from app.analysis.ope.plackett_luce import conditionals, marginals
from app.analysis.ope.replay import replay, replay_learning
from app.analysis.ope.slate_pmf import conditionals_of, marginals_of
from app.analysis.ope.slates import cascade, item_position, joint
from app.analysis.ope.weights import effective
from tests.unit.analysis.logs import SILVER, fractions, s_log, targets, u_log, w_log

LOG = w_log()
TARGETS = targets(LOG)
OPTIONS = OffPolicyOptions(features=("x",), clip=5.0)
NAMES = ("T1", "T2", "T3", "T4")


def close(value: object) -> object:
    """Equal to 1e-9, relatively."""
    return pytest.approx(value, rel=1e-9)


def evaluated(name: str, **changes: object) -> OffPolicyResult:
    return evaluate(LOG, Target.of(TARGETS[name], LOG), replace(OPTIONS, **changes))


def test_the_log_is_the_one_that_the_figures_are_of() -> None:
    assert np.bincount(LOG.chosen).tolist() == [1797, 101, 102]
    assert (LOG.context["x"].sum(), LOG.reward.sum()) == (799, 767)
    assert (1 / LOG.propensity).sum() == close(5998.362821)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("mean", (0.9955777472, 1.007466575, 0.9997271368, 0.9988531754)),
        ("ess", (100.083309, 232.2239718, 440.3539217, 293.8636437)),
        ("design_ess", (100.7225051, 232.311505, 440.8803022, 294.2996127)),
        ("event_ess", (45.84126984, 115.5925123, 169.6114593, 112.1605581)),
    ],
)
def test_diagnostics(figure: str, expected: tuple[float, ...]) -> None:
    assert [getattr(evaluated(name).weights, figure) for name in NAMES] == close(list(expected))


@pytest.mark.parametrize(
    ("estimator", "values", "errors"),
    [
        (
            "ips",
            (0.456, 0.5379977268, 0.3852105745, 0.3996104164),
            (0.06659015787, 0.04858437306, 0.02830322034, 0.03666847512),
        ),
        (
            "snips",
            (0.4580255046, 0.5340104974, 0.385315713, 0.4000692256),
            (0.04980271462, 0.03256033547, 0.02319337611, 0.02880738024),
        ),
        (
            "dr",
            (0.4574105202, 0.5356397846, 0.3853840085, 0.4001019659),
            (0.05126915141, 0.03561171026, 0.02349094928, 0.02935296621),
        ),
    ],
)
def test_estimates_and_their_standard_errors(estimator: str, values: tuple[float], errors: tuple[float]) -> None:
    found = [evaluated(name).estimates[estimator] for name in NAMES]
    assert [each.value for each in found] == close(list(values))
    assert [each.se for each in found] == close(list(errors))


def test_the_direct_method_has_no_standard_error() -> None:
    found = [evaluated(name).estimates["dm"] for name in NAMES]
    assert [each.value for each in found] == close([0.4504490972, 0.5329441423, 0.3843096432, 0.3977419785])
    assert [each.se for each in found] == [None] * 4


def test_switched_and_clipped_weights() -> None:
    switched = [evaluated(name, tau=5.0).estimates["switch_dr"] for name in NAMES]
    assert [each.value for each in switched] == close([0.3680701238, 0.4972351986, 0.3546192317, 0.3527455876])
    expected = [0.003504857607, 0.009388297413, 0.00449864659, 0.003055393858]
    assert [each.se for each in switched] == close(expected)
    clipped = [evaluated(name).estimates["clipped"] for name in NAMES]
    assert [each.value for each in clipped] == close([0.115, 0.3619977268, 0.3218772412, 0.2711104164])
    masses = [0.7485, 0.296033425, 0.1645391493, 0.2976020315]
    assert [each.detail["missing_mass"] for each in clipped] == close(masses)
    assert evaluated("T4").estimates["switch_dr"].detail["tau"] == 10


def test_sequences_and_verdicts() -> None:
    found = [evaluated(name) for name in NAMES]
    lows, highs = [0.2448173019, 0.4213197005, 0.2935908072, 0.278784766], [0.5938834642, 0.6363955805]
    assert [each.sequence.low for each in found] == close(lows)
    assert [each.sequence.high for each in found] == close([*highs, 0.4424801044, 0.464418282])
    assert [each.verdict for each in found] == ["caution", "caution", "answer", "caution"]
    assert {reason.code for each in found for reason in each.reasons} == {"ess"}


def test_the_logged_policy_and_the_lift_over_it() -> None:
    found = evaluated("T2")
    assert (found.logged.value, found.logged.se) == close((0.3835, 0.0108753396))
    assert (found.lift.value, found.lift.se) == close((0.1521397846, 0.03350840319))


def test_guaranteed_and_resampled_intervals() -> None:
    weights = Target.of(TARGETS["T4"], LOG).weights(LOG)
    assert bernstein(weights, LOG.reward, 0.0, 1.0, 10.0).detail["radius"] == close(0.1597030995)
    drawn = bootstrap(weights * LOG.reward, np.random.default_rng(1))
    assert drawn.se == pytest.approx(0.0366593, rel=0.03)
    found = evaluated("T4", adaptive=False, floor=0.05).estimates
    assert found["bernstein"].detail["radius"] == close(0.1597030995)
    assert "bootstrap" not in evaluated("T4").estimates


def test_probabilities_from_runs_are_unbiased_and_say_what_they_cost() -> None:
    shares = np.floor(25 * TARGETS["T4"][np.arange(2000), LOG.chosen] + fractions(2000, SILVER)) / 25
    found = evaluate(LOG, Target(shares, source="monte_carlo", draws=25), OPTIONS)
    assert found.estimates["ips"].value == close(0.4003936021)
    assert (found.pmf.mc_se, found.pmf.mc_share) == close((0.008716414801, 0.05613889923))
    assert found.default == "snips"
    assert "dr" not in found.estimates


def test_missing_rewards() -> None:
    holes = LOG.with_reward(np.where(np.arange(1, 2001) % 10 == 0, np.nan, LOG.reward))
    target = Target.of(TARGETS["T4"], LOG)
    found = {
        choice: evaluate(holes, target, replace(OPTIONS, missing=choice, default_reward=0.0))
        for choice in ("refuse", "drop", "default", "bounds")
    }
    assert found["refuse"].verdict == "refuse"
    assert found["refuse"].estimates is None
    assert found["refuse"].reasons[0].code == "missing"
    assert found["drop"].estimates["ips"].value == close(0.3856086461)
    assert found["default"].estimates["ips"].value == close(0.3470477815)
    both = found["bounds"].estimates["ips"]
    assert (both.detail["value_low"], both.detail["value_high"]) == close((0.3470477815, 0.4470732106))
    assert both.low == close(found["default"].estimates["ips"].low)
    assert both.high > both.detail["value_high"]
    assert "depend" in next(reason.text for reason in found["drop"].reasons if reason.code == "missing")


def test_few_missing_rewards_only_caution() -> None:
    holes = LOG.with_reward(np.where(np.arange(2000) < 20, np.nan, LOG.reward))
    found = evaluate(holes, Target.of(TARGETS["T3"], LOG), OPTIONS)
    assert (found.verdict, found.n, found.reasons[0].value) == ("caution", 2000, 20)


def test_scores_are_summed_by_unit() -> None:
    grouped = replace(LOG, unit=np.arange(1, 2001) % 500)
    target = Target.of(TARGETS["T4"], LOG)
    assert evaluate(grouped, target, OPTIONS).estimates["ips"].se == close(0.04386641895)
    alone = evaluate(replace(LOG, unit=np.arange(2000)), target, OPTIONS)
    plain = evaluate(LOG, target, OPTIONS)
    for name in ("ips", "snips", "dr"):
        assert alone.estimates[name].se == close(plain.estimates[name].se)


def test_replay_of_fixed_and_of_learning_candidates() -> None:
    log = u_log()
    found = replay(log, targets(log)["T2"], np.random.default_rng(1))
    assert (found.detail["rows"], found.value) == (1007, close(0.5412115194))
    pulls, wins = [0] * 3, [0.0] * 3

    def learn(row: int, arm: int, reward: float) -> None:
        pulls[arm] += 1
        wins[arm] += reward

    def choose(row: int) -> int:
        means = [(won + 1) / (n + 2) for won, n in zip(wins, pulls, strict=True)]
        return means.index(max(means))

    learning = replay_learning(log, choose, learn)
    assert (learning.detail["rows"], learning.value) == (1004, close(0.4750996016))


def test_replay_of_a_log_that_is_not_uniform_needs_a_promise() -> None:
    with pytest.raises(ValueError, match="bound"):
        replay(LOG, TARGETS["T4"], np.random.default_rng(1))
    with pytest.raises(ValueError, match="exceeded"):
        replay(LOG, TARGETS["T4"], np.random.default_rng(1), bound=2.0)
    found = replay(LOG, TARGETS["T3"], np.random.default_rng(1), bound=1 / 3 / 0.05)
    assert abs(found.value - 0.3866667) < 4 * found.se


def test_slates() -> None:
    slates, clicks, worth, other = s_log()
    ratios = conditionals(other, slates) / conditionals(worth, slates)
    shares = marginals(other, 2) / marginals(worth, 2)
    found = joint(ratios, clicks)
    assert (found.value, found.se) == close((0.5055756275, 0.03765686866))
    found = cascade(ratios, clicks)
    assert (found.value, found.se) == close((0.5095377532, 0.03384052553))
    found = item_position(shares[np.arange(2), slates], clicks)
    assert (found.value, found.se) == close((0.5106468808, 0.02010898488))
    assert effective(ratios.prod(axis=1)) == close(185.1901535)
    assert joint(ratios, clicks.sum(axis=1)).value == close(0.5055756275)
    with pytest.raises(ValueError, match="rewards"):
        cascade(ratios, clicks.sum(axis=1))


def test_a_pmf_of_slates_gives_the_same_weights_as_its_model() -> None:
    slates, _, worth, _ = s_log(50)
    pairs = np.array(list(permutations(range(4), 2)))
    chances = conditionals(worth, pairs).prod(axis=1)
    pmf = {tuple(pair): float(p) for pair, p in zip(pairs.tolist(), chances, strict=True)}
    shares = marginals(worth, 2)
    for slate, expected in zip(slates.tolist(), conditionals(worth, slates), strict=True):
        assert conditionals_of(pmf, slate) == close(expected)
        assert marginals_of(pmf, slate) == close(shares[np.arange(2), slate])
    assert conditionals_of(pmf, (0, 0)).tolist() == [close(worth[0] / worth.sum()), 0.0]


def test_drawn_marginals_agree_with_exact_ones() -> None:
    worth = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    exact, drawn = marginals(worth, 3), marginals(worth, 4, np.random.default_rng(1))
    assert np.abs(exact - drawn[:3]).max() < 4 * 0.5 / 100
    assert marginals(worth, 3).sum(axis=1) == close(np.ones(3))


def test_sequences_of_plain_rewards() -> None:
    rewards = np.tile([1.0, 0.0, 0.0, 1.0], 100)
    found = betting_sequence(np.ones(400), rewards, 0.0, 1.0)
    assert (found.low, found.high) == close((0.4079526747, 0.5914275697))
    found = empirical_bernstein(np.ones(400), rewards, 0.0, 1.0)
    assert (found.low, found.high) == close((0.4078197904, 0.59201637))


def test_sequences_scale_with_the_rewards() -> None:
    plain = evaluated("T2")
    scaled = replace(LOG, reward=LOG.reward * 10 - 3, lo=-3.0, hi=7.0)
    found = evaluate(scaled, Target.of(TARGETS["T2"], LOG), OPTIONS).sequence
    assert (found.low, found.high) == close((plain.sequence.low * 10 - 3, plain.sequence.high * 10 - 3))


def test_no_value_outside_a_sequence_was_left_out_by_the_search() -> None:
    """The definition, over a grid: what is won against a value falls as the value grows, and crosses at the end."""
    target = Target.of(TARGETS["T2"], LOG)
    w, r, k, alpha = target.weights(LOG), LOG.reward, 3.0, 0.05
    own, mean = arm_controls(TARGETS["T2"], LOG.pmf, LOG.chosen, w, k)(r, False)
    total, squares, phi = 0.0, 0.25, w * r - own + mean
    bets = []
    for t, each in enumerate(phi.tolist(), 1):
        bets.append(np.sqrt(2 * np.log(2 / alpha) / (squares / t * t * np.log(1 + t))))
        total += each
        squares += (each - min(1.0, max(0.0, (0.5 + total) / (t + 1)))) ** 2
    low = evaluated("T2").sequence.low
    for m, inside in ((low - 1e-6, False), (low + 1e-6, True)):
        won = np.cumsum(np.log1p(np.minimum(bets, 1 / (2 * (m + k))) * (phi - m))).max()
        assert (won < np.log(2 / alpha)) is np.bool_(inside)
