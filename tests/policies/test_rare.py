"""Top-two sampling when the leader is clear: the challengers share by the logarithm of P(best)."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.special as sc
import scipy.stats

from policies.gammas import BetaScores
from policies.quadrature import NormalScores, Scores
from policies.rare import log_best
from policies.student import StudentScores
from policies.toptwo import TopTwoGaussian, TopTwoThompson

CLEAR = {"a": {"p": 0.9, "n": 1000}, "b": {"p": 0.5, "n": 1000}, "c": {"p": 0.1, "n": 1000}}


def test_the_closest_rival_gets_the_challengers_share():
    policy = TopTwoThompson(CLEAR, list(CLEAR))
    assert list(policy.probabilities().values()) == pytest.approx([0.5, 0.5, 0.0], abs=1e-12)
    assert log_best(policy._scores(None)) / math.log(10) == pytest.approx([0.0, -89.9, -321.5], abs=0.05)
    np.random.seed(71)
    assert {policy.draw() for _ in range(100)} == {"a", "b"}


def test_so_it_does_for_amounts():
    theta = {
        name: {"n": 1000, "x_bar": mean, "s": 999.0, "v": 1.0}
        for name, mean in (("a", 9), ("b", 5), ("c", 1), ("d", 5))
    }
    policy = TopTwoGaussian(theta, list(theta))
    assert list(policy.probabilities().values()) == pytest.approx([0.5, 0.25, 0.0, 0.25], abs=1e-9)


def by_quad(arms, i, low, high):
    """log P(arm i is best) by adaptive quadrature around the highest point of its integrand, from log densities."""

    def log_integrand(x):
        return arms[i].logpdf(x) + sum(arm.logcdf(x) for j, arm in enumerate(arms) if j != i)

    grid = np.linspace(low, high, 20_001)[1:-1]
    values = log_integrand(grid)
    top, at = values.max(), grid[values.argmax()]
    inside = grid[values > top - 45]
    points = (max(low, inside[0] - 0.001), min(high, inside[-1] + 0.001))
    area = scipy.integrate.quad(lambda x: math.exp(log_integrand(x) - top), *points, points=[at], epsabs=0, limit=500)[
        0
    ]
    return top + math.log(area)


@pytest.mark.parametrize(
    "shapes", [[(901, 101), (501, 501), (301, 701)], [(90, 12), (40, 62)], [(9000, 1000), (8000, 2000)]]
)
def test_rare_beta_probabilities_agree_with_adaptive_quadrature(shapes):
    arms = [scipy.stats.beta(a, b) for a, b in shapes]
    found = log_best(BetaScores(*(np.array(each, dtype=float) for each in zip(*shapes, strict=True))))
    expected = [by_quad(arms, i, 0.0, 1.0) for i in range(1, len(arms))]
    assert found[1:] == pytest.approx(expected, abs=2e-3)


def test_rare_normal_probabilities_of_two_are_known():
    mean, sd = np.array([0.0, 30.0]), np.array([1.0, 0.5])
    assert log_best(NormalScores(mean, sd))[0] == pytest.approx(sc.log_ndtr(-30 / math.hypot(1.0, 0.5)), abs=1e-6)
    far = log_best(NormalScores(np.array([0.0, 1e6]), np.array([1.0, 1.0])))
    assert far[0] == pytest.approx(sc.log_ndtr(-1e6 / math.sqrt(2)), rel=1e-9)


def test_a_leader_that_is_far_narrower_than_its_rivals_tail():
    found = log_best(NormalScores(np.array([0.0, 30.0]), np.array([1.0, 1e-4])))
    assert found[0] == pytest.approx(sc.log_ndtr(-30 / math.hypot(1.0, 1e-4)), abs=1e-6)


@pytest.mark.parametrize("df", [(40.0, 40.0), (2000.0, 900.0), (10.0, 300.0)])
def test_rare_student_probabilities_agree_with_adaptive_quadrature(df):
    mean, scale = (0.0, 40.0), (1.0, 0.8)
    arms = [scipy.stats.t(d, m, s) for d, m, s in zip(df, mean, scale, strict=True)]
    found = log_best(StudentScores(np.array(mean), np.array(scale), np.array(df)))
    grid = np.linspace(-20, 400, 2_000_001)
    values = arms[0].logpdf(grid) + arms[1].logcdf(grid)
    expected = np.logaddexp.reduce(values) + math.log(grid[1] - grid[0])
    assert found[0] == pytest.approx(expected, abs=5e-3)


def test_frequent_probabilities_are_the_exact_ones():
    scores = BetaScores(np.array([4.0, 6.0, 9.0]), np.array([8.0, 6.0, 3.0]))
    assert np.exp(log_best(scores)) == pytest.approx(scores.best(), abs=1e-15)


def test_odds_do_not_jump_where_the_exact_ones_end():
    """From 1e-6 to 1e-20 the logarithm falls smoothly: the second differences keep their sign and size."""
    logs = [
        log_best(BetaScores(np.array([500.0, 500.0 - x]), np.array([500.0, 500.0 + x])))[1] for x in range(60, 250, 4)
    ]
    assert logs[0] > math.log(1e-6) > math.log(1e-20) > logs[-1]
    second = np.diff(logs, 2)
    assert (second < 0).all()
    assert second.max() / second.min() > 0.5


def test_shares_do_not_jump_where_logarithms_begin():
    """The leader's certainty grows from .999 to .99999 while b stays ahead of c, and a fourth arm is hopeless."""
    shares = []
    for n in range(40, 160, 4):
        counts = {"a": (0.6, 5 * n), "b": (0.4, n), "c": (0.35, n), "d": (0.01, 20 * n)}
        theta = {name: {"p": p, "n": total} for name, (p, total) in counts.items()}
        shares.append(list(TopTwoThompson(theta, list(theta)).probabilities().values()))
    steps = np.abs(np.diff(shares, axis=0)).max(axis=1)
    assert steps.max() < 0.03
    assert np.abs(np.diff(steps)).max() < 0.004


def test_distribution_functions_have_logarithms_beyond_doubles():
    x = np.array([-2000.0, -50.0, -3.0, 0.0, 3.0, 50.0])
    for scores in (
        BetaScores(np.array([3.0, 400.0]), np.array([5.0, 300.0])),
        StudentScores(np.array([0.0, -1.0]), np.array([1.0, 0.5]), np.array([2.0, 30.0])),
        NormalScores(np.array([0.0, -1.0]), np.array([1.0, 0.5])),
    ):
        assert isinstance(scores, Scores)
        logs = scores.log_cdf(x)
        assert np.isfinite(logs).all()
        assert (np.diff(logs, axis=1) >= 0).all()
        seen = np.exp(logs) > 0
        assert np.exp(logs)[seen] == pytest.approx(scores.cdf(x)[seen], rel=2e-3)


@pytest.mark.parametrize(("fewer", "rival"), [({"C": 350}, "C"), ({"B": 80}, "B"), ({"A": 35}, "A")])
def test_the_rival_about_whom_too_little_is_known_is_played(fewer, rival):
    """Rates of the shipped experiment; the counts are the best for telling D from the rest, but for one rival's."""
    rates, counts = {"A": 0.2, "B": 0.3, "C": 0.45, "D": 0.7}, {"A": 80, "B": 180, "C": 740, "D": 1000} | fewer
    policy = TopTwoThompson({name: {"p": rates[name], "n": counts[name]} for name in rates}, list(rates))
    p = policy.probabilities()
    assert p["D"] == pytest.approx(0.5, abs=1e-9)
    assert p[rival] > 0.45


@pytest.mark.slow
def test_the_closest_rival_keeps_its_share_in_its_own_experiment():
    """The best shares for telling D from the rest are .04 .09 .37 .50, of all visits.

    With the losers alike once the leader was clear the third thousand had .14 .15 .20 .51, a mean of 20 runs; the
    standard error of C's here is .02.
    """
    rates, names = [0.2, 0.3, 0.45, 0.7], list("ABCD")
    shares, runs = np.zeros(4), 8
    for seed in range(runs):
        np.random.seed(seed)
        policy = TopTwoThompson({}, names)
        for step in range(3000):
            arm = policy.draw()
            policy.update(arm, float(np.random.random() < rates[names.index(arm)]))
            shares[names.index(arm)] += (step >= 2000) / 1000 / runs
    assert shares[3] == pytest.approx(0.5, abs=0.03)
    assert shares[2] > 0.27
    assert shares[0] + shares[1] < 0.22
