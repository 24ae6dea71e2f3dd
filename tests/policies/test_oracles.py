"""Numbers that are known otherwise: by hand, by numerical integration, by brute force."""

import math
from itertools import permutations

import numpy as np
import pytest
import scipy.integrate
import scipy.special as sc
import scipy.stats

from policies.bts import BootstrappedThompson
from policies.exp3 import EXP3
from policies.gammas import BetaScores, GainScores
from policies.gaussian import GaussianThompson
from policies.greedy import EpsilonFirst, EpsilonGreedy
from policies.linear import LinearThompson
from policies.linucb import HybridLinUCB, LinUCB
from policies.logistic import LogisticThompson
from policies.quadrature import NormalScores
from policies.rare import log_best
from policies.slate import Slate
from policies.softmax import Softmax
from policies.squarecb import SquareCB, inverse_gap
from policies.student import StudentScores
from policies.thompson import BBThompsonList, BernoulliThompson
from policies.toptwo import TopTwoThompson, challengers, top_two
from policies.ucb import KLUCB, UCB1, UCBTuned


def proportions(*pairs):
    return {f"arm{i}": {"p": s / (s + f), "n": s + f} for i, (s, f) in enumerate(pairs)}


def means(*pairs):
    return {f"arm{i}": {"n": n, "m": m} for i, (n, m) in enumerate(pairs)}


def digits(p, n=8):
    return [round(value, n) for value in (p.values() if isinstance(p, dict) else p)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([(3, 7), (5, 5), (8, 2)], [0.01004403, 0.08897818, 0.90097779]),
        ([(0, 50), (5, 45)], [0.01337453, 0.98662547]),
    ],
)
def test_probability_of_being_best_under_beta_posteriors(counts, expected):
    theta = proportions(*counts)
    assert digits(BernoulliThompson(theta, list(theta)).probabilities()) == expected
    arms = BBThompsonList(theta, list(theta))
    assert digits([arms.propensity(name) for name in theta]) == expected


def test_inverse_gap_weights():
    assert digits(inverse_gap([0.2, 0.5, 0.45], 100)) == [0.03030303, 0.84469697, 0.125]


def test_inverse_gap_weights_of_ties():
    assert digits(inverse_gap([0.5, 0.5, 0.4], 100)) == digits([6 / 13, 6 / 13, 1 / 13])


def test_squarecb_weighs_its_regressions():
    theta = {"a": {"A": [[5.0]], "b": [1.0], "n": 4}, "b": {"A": [[10.0]], "b": [5.0], "n": 9}}
    g = 10 * math.sqrt(13)
    expected = inverse_gap([0.2, 0.5], g)
    assert list(SquareCB(theta, ["a", "b"]).probabilities().values()) == pytest.approx(expected)


def test_exp3_after_one_reward():
    policy = EXP3({}, [0, 1, 2], gamma=0.1)
    policy.update(0, 1.0, propensity=1 / 3)
    assert digits(policy.probabilities()) == [0.3536551, 0.32317245, 0.32317245]


def test_kl_ucb_and_ucb1_indices():
    few, many = means((10, 0.3), (90, 0.0)), means((100, 0.5), (900, 0.0))
    assert digits([KLUCB(few, list(few), tolerance=1e-12).indices()["arm0"]]) == [0.75602274]
    assert digits([KLUCB(many, list(many), tolerance=1e-12).indices()["arm0"]]) == [0.67960819]
    assert digits([UCB1(few, list(few)).indices()["arm0"]]) == [1.25970518]  # .3 + sqrt(.2 ln 100)
    assert digits([UCB1(many, list(many)).indices()["arm0"]]) == [0.87169222]  # .5 + sqrt(.02 ln 1000)


@pytest.mark.parametrize("p", [0.0, 1e-300, 1e-12, 0.5, 1 - 1e-12, 1.0])
@pytest.mark.parametrize("n", [1, 10, 10**9])
def test_kl_ucb_solves_its_equation(p, n):
    q = KLUCB({}, ["a"], tolerance=1e-12)._index({"m": p}, n, math.log(1000))
    assert p <= q <= 1.0
    if 1e-9 < p < 0.9 and n <= 10:
        assert sc.rel_entr(p, q) + sc.rel_entr(1 - p, 1 - q) == pytest.approx(math.log(1000) / n, rel=1e-6)


def test_ucb_tuned_by_hand():
    theta = {"a": {"n": 100, "x_bar": 0.5, "s": 1.0, "v": 1 / 99}, "b": {"n": 900, "x_bar": 0.1, "s": 0.0, "v": 0.0}}
    log_t = math.log(1000)
    expected = 0.5 + math.sqrt(log_t / 100 * min(0.25, 0.01 + math.sqrt(2 * log_t / 100)))
    assert UCBTuned(theta, ["a", "b"]).indices()["a"] == pytest.approx(expected)


def test_simple_policies_by_hand():
    theta = means((40, 0.2), (40, 0.5), (20, 0.5))
    arms = list(theta)
    assert digits(EpsilonGreedy(theta, arms, epsilon=0.3).probabilities()) == digits([0.1, 0.45, 0.45])
    assert digits(EpsilonGreedy(theta, arms, epsilon=0.3, decay=0.02).probabilities()) == digits(
        [1 / 30, 29 / 60, 29 / 60]
    )
    assert digits(EpsilonFirst(theta, arms, n=100).probabilities()) == [0.0, 0.5, 0.5]
    assert digits(EpsilonFirst(theta, arms, n=101).probabilities()) == digits([1 / 3] * 3)
    assert digits(Softmax(theta, arms, tau=0.1).probabilities()) == digits(sc.softmax([2, 5, 5]))


def test_floor_mixes_with_the_uniform_distribution():
    theta = means((40, 0.2), (60, 0.5))
    assert digits(UCB1(theta, list(theta), floor=0.1).probabilities()) == [0.05, 0.95]


def brute_force(density, cdf, low, high, points):
    """P(best) by adaptive quadrature, an arm at a time."""
    k = len(density)
    return [
        scipy.integrate.quad(
            lambda x, i=i: density[i](x) * math.prod(cdf[j](x) for j in range(k) if j != i),
            low, high, points=points, limit=500, epsabs=1e-12,
        )[0]
        for i in range(k)
    ]  # fmt: skip


def test_student_scores_agree_with_adaptive_quadrature():
    mean, scale, df = [0.0, 0.3, 1.0], [1.0, 2.0, 0.1], [2.0, 3.0, 40.0]
    arms = [scipy.stats.t(d, m, s) for m, s, d in zip(mean, scale, df, strict=True)]
    expected = brute_force(
        [a.pdf for a in arms], [a.cdf for a in arms], -500, 500, [-10, -1, 0, 0.5, 0.8, 1, 1.2, 2, 10]
    )
    found = StudentScores(np.array(mean), np.array(scale), np.array(df)).best()
    assert found == pytest.approx(expected, abs=3e-6)  # the reference stops at 500


def test_normal_scores_agree_with_the_closed_form_of_two():
    mean, sd = np.array([1e9, 1e9 + 1.0]), np.array([2.0, 0.01])
    expected = sc.ndtr(-1.0 / math.hypot(2.0, 0.01))
    assert NormalScores(mean, sd).best() == pytest.approx([expected, 1 - expected], abs=1e-9)


def test_a_density_whose_mass_is_wrong_is_an_error_and_no_probability():
    class Wrong(NormalScores):
        def log_density(self, x):
            return super().log_density(x) + 1e-6

    with pytest.raises(ArithmeticError, match="densities lose"):
        Wrong(np.zeros(2), np.ones(2)).best()


def random_scores(rng):
    """Scores of two to seven arms on all scales: few and many rewards, vague priors, spreads that differ by 1e12."""
    k = int(rng.integers(2, 8))
    n = np.round(10 ** rng.uniform(0, rng.uniform(1, 12), k))
    won, a0, unit = np.round(n * rng.beta(0.5, 0.5, k)), rng.choice([0.001, 0.01, 0.1, 1, 3]), 10 ** rng.uniform(-4, 4)
    s, t = (0.05, 1e3) if rng.random() < 0.2 else (rng.choice([0.05, 0.5, 1]), 1.0)
    mean, fresh = rng.integers(-3, 3, k) * rng.choice([1.0, 1e-3, 1e8]), rng.random(k) < 0.3
    n = np.where(fresh, 0, n)
    spread = np.where(rng.random(k) < 0.5, 1e-9, (n + a0) * unit) + 0.5 * n / (1 + n) * mean**2
    return [
        BetaScores(s + won * (n > 0), t + (n - won) * (n > 0)),
        NormalScores(mean + rng.normal(size=k), 10 ** rng.uniform(-6, 6, k)),
        StudentScores(n * mean / (n + 1), np.sqrt(spread / ((a0 + n / 2) * (1 + n))), 2 * a0 + n),
        GainScores((unit + spread) / ((n + 2) * (n + 3)), n + 2),
    ]


def test_scores_on_all_scales_have_probabilities():
    """Whatever is not integrated to 1e-9 would raise; logarithms of them agree and are finite."""
    rng = np.random.default_rng(5)
    for _ in range(150):
        for scores in random_scores(rng):
            p, logs = np.array(scores.best()), log_best(scores)
            assert p.sum() == pytest.approx(1.0, abs=1e-12)
            assert np.isfinite(logs).all()
            assert np.exp(logs) == pytest.approx(p, abs=1e-8)


def test_equal_normal_scores_share_and_a_certain_one_takes_all():
    assert NormalScores(np.zeros(5), np.ones(5)).best() == pytest.approx([0.2] * 5, abs=1e-12)
    assert NormalScores(np.array([0.0, 1.0]), np.array([1e-9, 1e-9])).best() == [0.0, 1.0]


@pytest.mark.parametrize("prior", [(0.5, 0.5), (0.05, 0.05), (1.0, 1.0), (50.0, 0.5)])
def test_beta_scores_of_two_agree_with_adaptive_quadrature(prior):
    a, b = prior
    found = BetaScores(np.array([a, 4.0]), np.array([b, 2.0])).best()
    # P(first > second), with the second's smooth density as the weight
    tail = scipy.integrate.quad(lambda x: sc.betaincc(a, b, x) * 20 * x**3 * (1 - x), 0, 1, epsabs=1e-12, limit=400)[0]
    assert found == pytest.approx([tail, 1 - tail], abs=1e-8)


def test_priors_that_doubles_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="prior"):
        BernoulliThompson({}, ["a", "b"], prior=(0.001, 1.0)).draw()


def test_beta_scores_with_a_million_rewards():
    a, b = np.array([5e5, 5e5 + 700]), np.array([5e5, 5e5 - 700])
    approximate = sc.ndtr(0.0014 / 2 * 2 / math.sqrt(2 * 0.25 / 1e6) / 2)
    assert BetaScores(a, b).best()[1] == pytest.approx(approximate, abs=1e-4)


def test_gaussian_posterior_by_hand():
    theta = {"a": {"n": 4, "x_bar": 2.0, "s": 6.0, "v": 2.0}}
    mean, scale, df = GaussianThompson(theta, ["a"], m0=1.0, k0=2.0, a0=3.0, b0=1.5)._posterior()
    # k = 6, m = (2 * 1 + 4 * 2) / 6, a = 5, b = 1.5 + 3 + 2 * 4 / 6 / 2
    assert (mean[0], df[0]) == (pytest.approx(10 / 6), 10.0)
    assert scale[0] ** 2 == pytest.approx((4.5 + 4 / 6) / (5 * 6))


def test_top_two_from_the_probabilities_of_being_best():
    best, beta = [0.6, 0.3, 0.1], 0.5
    by_hand = [
        beta * p + (1 - beta) * sum(q * p / (1 - q) for j, q in enumerate(best) if j != i) for i, p in enumerate(best)
    ]
    assert top_two(np.log(best), beta) == pytest.approx(by_hand)
    assert top_two(np.array([0.0, -900.0, -900.0]), 0.6) == pytest.approx([0.6, 0.2, 0.2])
    assert top_two(np.log([1 - 3e-15, 2e-15, 1e-15]), 0.5) == pytest.approx([0.5, 1 / 3, 1 / 6], rel=0.01)
    assert challengers(np.array([0.0, -900.0, -900.0]), 0) == [0.0, 0.5, 0.5]


def test_top_two_plays_the_leader_with_probability_beta():
    theta = proportions((900, 100), (100, 900), (100, 900))
    policy = TopTwoThompson(theta, list(theta), beta=0.7)
    assert policy.probabilities()["arm0"] == pytest.approx(0.7, abs=1e-6)
    np.random.seed(1)
    assert np.mean([policy.draw() == "arm0" for _ in range(1000)]) == pytest.approx(0.7, abs=0.05)


def test_bootstrapped_propensity_is_the_share_of_replicates():
    theta = {"a": {"n": [1, 1, 1, 1], "m": [0.1, 0.5, 0.9, 0.3]}, "b": {"n": [1, 1, 1, 1], "m": [0.2, 0.5, 0.4, 0.8]}}
    assert BootstrappedThompson(theta, ["a", "b"], m=4).probabilities() == {"a": 0.375, "b": 0.625}


def linear_history(policy, seed=2, n=40):
    rng = np.random.default_rng(seed)
    rows = [(str(rng.choice(["a", "b"])), rng.normal(size=3), float(rng.normal())) for _ in range(n)]
    for arm, x, reward in rows:
        policy.update(arm, reward, x.tolist())
    return rows


def test_linucb_is_ridge_regression_plus_standard_errors():
    policy = LinUCB({}, ["a", "b"], alpha=0.7, lam=2.0)
    rows = linear_history(policy)
    x = np.array([0.5, -1.0, 2.0])
    scores = {}
    for arm in "ab":
        X = np.array([row for each, row, _ in rows if each == arm])
        y = np.array([reward for each, _, reward in rows if each == arm])
        inverse = np.linalg.inv(2.0 * np.eye(3) + X.T @ X)
        scores[arm] = x @ inverse @ X.T @ y + 0.7 * math.sqrt(x @ inverse @ x)
    assert policy.pull(x) == (max(scores, key=scores.get), 1.0)
    mean, variance = policy._predictions(x)
    assert (mean + 0.7 * np.sqrt(variance)).tolist() == pytest.approx(list(scores.values()))


def test_hybrid_linucb_is_one_joint_ridge_regression():
    own = {"a": [1.0, 0.5], "b": [0.2, 1.0]}
    policy = HybridLinUCB({}, ["a", "b"], own, alpha=0.7)
    rows = linear_history(policy)

    def joint(arm, x):
        return np.concatenate([np.outer(x, own[arm]).ravel(), x * (arm == "a"), x * (arm == "b")])

    X = np.array([joint(arm, x) for arm, x, _ in rows])
    y = np.array([reward for _, _, reward in rows])
    inverse = np.linalg.inv(np.eye(12) + X.T @ X)
    x = np.array([0.5, -1.0, 2.0])
    index = {
        arm: joint(arm, x) @ inverse @ X.T @ y + 0.7 * math.sqrt(joint(arm, x) @ inverse @ joint(arm, x)) for arm in own
    }
    assert policy.indices(x) == pytest.approx(index)


def test_linear_thompson_of_two_arms_is_a_normal_probability():
    policy = LinearThompson({}, ["a", "b"], v=0.5)
    linear_history(policy)
    x = [0.5, -1.0, 2.0]
    mean, variance = policy._predictions(x)
    expected = sc.ndtr((mean[0] - mean[1]) / (0.5 * math.sqrt(variance.sum())))
    assert policy.probabilities(x)["a"] == pytest.approx(expected, abs=1e-9)


def test_logistic_update_is_the_most_likely_value_and_its_curvature():
    before = np.array([[2.0, 0.7], [0.7, 5.0]])
    policy = LogisticThompson({"a": {"m": [0.3, -0.2], "P": before.tolist()}}, ["a"])
    x = np.array([1.5, -4.0])
    policy.update("a", 1.0, x)
    m, precision = (np.array(policy.get_dict()["a"][part]) for part in ("m", "P"))
    p = sc.expit(m @ x)
    gradient = before @ (m - np.array([0.3, -0.2])) - (1.0 - p) * x
    assert gradient == pytest.approx([0.0, 0.0], abs=1e-9)
    assert precision == pytest.approx(before + p * (1 - p) * np.outer(x, x))


def test_slates_follow_plackett_and_luce():
    theta = means((5, 0.1), (5, 0.3), (5, 0.2))
    policy = Slate(theta, list(theta), k=2, tau=0.1)
    weights = dict(zip(theta, np.exp([1.0, 3.0, 2.0]), strict=True))
    total = sum(weights.values())
    for first, second in permutations(theta, 2):
        expected = weights[first] / total * weights[second] / (total - weights[first])
        assert policy.propensity((first, second)) == pytest.approx(expected)
        assert policy.probabilities()[(first, second)] == pytest.approx(expected)


def test_slates_of_many_items_answer_for_one_slate_only():
    policy = Slate({}, range(100), k=3)
    with pytest.raises(ValueError, match="propensity"):
        policy.probabilities()
    assert policy.propensity([5, 6, 7]) == pytest.approx(1 / (100 * 99 * 98))


def test_a_slate_learns_from_each_position_or_from_one_item():
    policy = Slate({}, ["a", "b", "c"], k=2)
    policy.update(("c", "a"), [1, 0])
    policy.update("c", 0)
    policy.update(("a", "b"), 1)
    assert policy.get_dict() == {"c": {"n": 2, "m": 0.5}, "a": {"n": 2, "m": 0.5}, "b": {"n": 1, "m": 1.0}}
