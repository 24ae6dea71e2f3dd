"""Scripts in the style that StreamingBandit's users write, over HTTP and through the sandbox, as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.servers import Experiment, Researcher

CALLS = 20
ROUNDS = 2


@dataclass(frozen=True)
class Policy:
    """Two scripts, the theta that clients then read, and whether the action names a propensity."""

    name: str
    get_action: str
    set_reward: str
    theta: dict[str, Any]
    keyed: str = ""
    propensity: bool = True
    reward: dict[str, Any] = field(default_factory=lambda: {"value": 1})
    context: dict[str, Any] = field(default_factory=dict)


COIN = 'self.action["treatment"] = random.choice(["control", "treatment"])\nself.action["propensity"] = 1 / 2\n'
MEAN = {"n": int, "m": float}
SHARE = {"p": float, "n": int}
SPREAD = {"n": int, "x_bar": float, "s": float, "v": float}
RIDGE = {"b": [float, float], "A": [[float, float], [float, float]], "n": int}


def estimator(kind: str, given: str, theta: dict[str, Any]) -> Policy:
    """An A/B test that keeps one estimator per version."""
    set_reward = (
        'version = self.action["treatment"]\n'
        f'estimate = base.{kind}(self.get_theta(key="treatment", value=version))\n'
        f"estimate.update({given})\n"
        'self.set_theta(estimate, key="treatment", value=version)\n'
    )
    return Policy(kind, COIN, set_reward, theta, keyed="treatment:(control|treatment)")


def bandit(name: str, made: str, theta: dict[str, Any], about: str = "", **options: Any) -> Policy:
    """A policy of the newer modules: built from theta, pulled, updated, stored."""
    context = {"customer": 1, "hour": 0.5} if about else {}
    x = '[1, self.context["hour"]]' if about else ""
    return Policy(
        name,
        f'policy = {made}\nself.action["treatment"], self.action["propensity"] = policy.pull({x})\n',
        f'policy = {made}\npolicy.update(self.action["treatment"], self.reward["value"]{", " + x if x else ""}'
        f"{options.pop('more', '')})\nself.set_theta(policy)\n",
        theta,
        context=context,
        **options,
    )


ARMS = '["control", "treatment"]'
POLICIES = [
    Policy(
        "Count",
        COIN,
        'count = base.Count(self.get_theta(key="treatment", value=self.action["treatment"]))\n'
        "count.increment()\n"
        'self.set_theta(count, key="treatment", value=self.action["treatment"])\n',
        {"n": int},
        keyed="treatment:(control|treatment)",
    ),
    estimator("Mean", 'self.reward["value"]', MEAN),
    estimator("Proportion", 'self.reward["value"]', SHARE),
    estimator("Variance", 'self.reward["value"]', SPREAD),
    estimator(
        "Covariance",
        '{"x": len(version), "y": self.reward["value"]}',
        {"n": int, "x_bar": float, "y_bar": float, "cov": float},
    ),
    estimator(
        "Correlation",
        '{"x": np.random.rand(), "y": self.reward["value"]}',
        {"n": int, "x_bar": float, "y_bar": float, "cov": float, "c": float}
        | dict.fromkeys(("x_s", "y_s", "x_v", "y_v"), float),
    ),
    Policy(
        "List",
        'means = base.List(self.get_theta(key="treatment"), base.Mean, ["control", "treatment"])\n'
        "e = 0.1\n"
        "if np.random.binomial(1, e) == 1:\n"
        '    self.action["treatment"] = means.random()\n'
        "else:\n"
        '    self.action["treatment"] = means.max()\n'
        'self.action["seen"] = means.count()\n',
        'mean = base.Mean(self.get_theta(key="treatment", value=self.action["treatment"]))\n'
        'mean.update(self.reward["value"])\n'
        'self.set_theta(mean, key="treatment", value=self.action["treatment"])\n',
        MEAN,
        keyed="treatment:(control|treatment)",
        propensity=False,
    ),
    Policy(
        "BBThompsonList",
        'arms = thmp.BBThompsonList(self.get_theta(key="treatment"), ["control", "treatment"])\n'
        'self.action["treatment"] = arms.thompson()\n'
        'self.action["propensity"] = arms.propensity(self.action["treatment"])\n',
        'share = base.Proportion(self.get_theta(key="treatment", value=self.action["treatment"]))\n'
        'share.update(self.reward["value"])\n'
        'self.set_theta(share, key="treatment", value=self.action["treatment"])\n',
        SHARE,
        keyed="treatment:(control|treatment)",
    ),
    Policy(
        "ThompsonVarList",
        "import libs.thompson as thmp\n"
        'groups = thmp.ThompsonVarList(self.get_theta(key="treatment"), ["control", "treatment"])\n'
        'self.action["treatment"] = groups.experimentThompson()\n',
        "import libs.base as base\n"
        'group = base.Variance(self.get_theta(key="treatment", value=self.action["treatment"]))\n'
        'group.update(self.reward["value"])\n'
        'self.set_theta(group, key="treatment", value=self.action["treatment"])\n',
        SPREAD,
        keyed="treatment:(control|treatment)",
        propensity=False,
    ),
    Policy(
        "LM",
        "model = lm.LM(self.get_theta(), p=1, add_intercept=True)\n"
        'self.action["hour"] = self.context["hour"]\n'
        'self.action["expected"] = model.predict([self.context["hour"]])\n'
        'self.action["slope"] = np.asscalar(model.get_coefs()[1])\n',
        "model = lm.LM(self.get_theta(), p=1, add_intercept=True)\n"
        'model.update(self.reward["value"], [self.action["hour"]], discount=0.99)\n'
        "self.set_theta(model)\n",
        RIDGE,
        propensity=False,
        context={"hour": 0.5},
    ),
    Policy(
        "BTS",
        "from libs import bts, lm\n"
        'fresh = {"b": np.zeros(3).tolist(), "A": np.identity(3).tolist(), "n": 0}\n'
        "replicates = bts.BTS(self.get_theta(), lm.LM, m=10, default_params=fresh)\n"
        "betas = lm.LM(default=replicates.sample()).get_coefs()\n"
        "price = np.asscalar(-betas[1] / (2 * betas[2]))\n"
        'self.action["price"] = price if 5 <= price <= 20 else np.random.uniform(5, 20)\n',
        'fresh = {"b": np.zeros(3).tolist(), "A": np.identity(3).tolist(), "n": 0}\n'
        "replicates = bts.BTS(self.get_theta(), lm.LM, m=10, default_params=fresh)\n"
        'price = self.action["price"]\n'
        'replicates.update(self.reward["value"], [1, price, price**2])\n'
        "self.set_theta(replicates)\n",
        {str(i): {"b": [float] * 3, "A": [[float] * 3] * 3, "n": int} for i in range(10)},
        propensity=False,
    ),
    Policy(
        "LiF",
        "centre = lif.LiF(self.get_theta(all_float=False), x0=3.0, a=.5, t=20, gamma=.02, omega=1.0, lifversion=1)\n"
        "suggestion = centre.suggest()\n"
        'for name in ("x", "t", "x0"):\n'
        "    self.action[name] = suggestion[name]\n"
        "self.set_theta(centre)\n",
        "centre = lif.LiF(self.get_theta(all_float=False), x0=3.0, a=.5, t=20, gamma=.02, omega=1.0, lifversion=1)\n"
        'centre.update(self.action["t"], self.action["x"], self.reward["value"], self.action["x0"])\n'
        "self.set_theta(centre)\n",
        {"Yw": list, "t": int, "x0": float},
        propensity=False,
    ),
    Policy(
        "ThompsonBayesianLinear",
        "import libs.thompson_bayesian_linear as tbl\n"
        'prior = self.get_theta(key="price", value="all")\n'
        "if prior == {}:\n"
        '    prior = {"J": [1, 1, 1], "P": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "err": 1}\n'
        "betas = tbl.ThompsonBayesianLinear(prior).sample()\n"
        'self.action["x"] = np.asscalar(-(betas[1] / (2 * betas[2])))\n',
        'prior = self.get_theta(key="price", value="all")\n'
        "if prior == {}:\n"
        '    prior = {"J": [1, 1, 1], "P": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "err": 1}\n'
        "model = tbl.ThompsonBayesianLinear(prior)\n"
        'x = self.action["x"]\n'
        'model.update(y=self.reward["value"], x=[1, x, x**2])\n'
        'self.set_theta(model, key="price", value="all")\n',
        {"J": [float] * 3, "P": [[float] * 3] * 3, "err": float},
        keyed="price:all",
        propensity=False,
    ),
    bandit("greedy", f"greedy.EpsilonGreedy(self.get_theta(), {ARMS}, epsilon=0.1)", {"treatment|control": MEAN}),
    bandit("ucb", f"ucb.KLUCB(self.get_theta(), {ARMS}, floor=0.1)", {"treatment|control": MEAN}),
    bandit("softmax", f"softmax.Softmax(self.get_theta(), {ARMS})", {"treatment|control": MEAN}),
    bandit(
        "exp3",
        f"exp3.EXP3(self.get_theta(), {ARMS})",
        {"log_weights": {"treatment|control": float}},
        more=', propensity=self.action["propensity"]',
    ),
    bandit("gaussian", f"gaussian.GaussianThompson(self.get_theta(), {ARMS})", {"treatment|control": SPREAD}),
    bandit("toptwo", f"toptwo.TopTwoThompson(self.get_theta(), {ARMS})", {"treatment|control": SHARE}),
    bandit(
        "window",
        f"window.SlidingWindowThompson(self.get_theta(), {ARMS}, window=30)",
        {"t": int, "arms": {"treatment|control": {"t": list, "r": list}}},
    ),
    bandit(
        "discount",
        f"discount.DiscountedUCB(self.get_theta(), {ARMS}, floor=0.1)",
        {"treatment|control": {"n": float, "sum": float}},
    ),
    bandit("linear", f"linear.LinearThompson(self.get_theta(), {ARMS})", {"treatment|control": RIDGE}, "hour"),
    bandit("linucb", f"linucb.LinUCB(self.get_theta(), {ARMS}, floor=0.1)", {"treatment|control": RIDGE}, "hour"),
    bandit("squarecb", f"squarecb.SquareCB(self.get_theta(), {ARMS})", {"treatment|control": RIDGE}, "hour"),
    bandit(
        "logistic",
        f"logistic.LogisticThompson(self.get_theta(), {ARMS})",
        {"treatment|control": {"m": [float, float], "P": [[float, float], [float, float]]}},
        "hour",
    ),
    bandit(
        "slate",
        'slate.Slate(self.get_theta(), ["a", "b", "c"], k=2)',
        {"a|b|c": MEAN},
        reward={"value": [1, 0]},
    ),
]


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has this shape: types, lists of shapes, dicts of shapes; ``"a|b"`` stands for either or both."""
    if isinstance(shape, type):
        return isinstance(value, (int, float) if shape is float else shape) and not isinstance(value, bool)
    if isinstance(shape, list):
        return isinstance(value, list) and len(value) == len(shape) and all(map(fits, value, shape))
    choices = [name for name in shape if "|" in name]
    inner = {name: each for several in choices for name in several.split("|") for each in [shape[several]]}
    wanted = shape.keys() - set(choices)
    complete = wanted <= value.keys() <= wanted | inner.keys() and bool(value)
    return complete and all(fits(each, (shape | inner)[name]) for name, each in value.items())


def live(experiment: Experiment, policy: Policy) -> list[dict[str, Any]]:
    """Some decisions and their rewards; the actions."""
    actions = []
    for _ in range(ROUNDS):
        items = [{"context": policy.context}] * CALLS
        answers = experiment.post("getaction", "batch", items=items).json()["items"]
        actions += (decided := [answer["action"] for answer in answers])
        rewards = [{"context": policy.context, "action": action, "reward": policy.reward} for action in decided]
        answer = experiment.post("setreward", "batch", items=rewards)
        assert answer.json()["items"] == [{"status": "success"}] * CALLS
    return actions


@pytest.mark.parametrize("policy", POLICIES, ids=[policy.name for policy in POLICIES])
def test_scripts_run_as_they_are(researcher: Researcher, policy: Policy) -> None:
    experiment = researcher.create(get_action=policy.get_action, set_reward=policy.set_reward)
    actions = live(experiment, policy)

    theta = experiment.theta()
    if policy.keyed:
        assert theta
        assert all(re.fullmatch(policy.keyed, key) for key in theta)
    thetas = list(theta.values()) if policy.keyed else [theta]
    assert all(fits(each, policy.theta) for each in thetas), theta

    rows = experiment.stats("actionlog", limit=1000)
    assert len(rows) == len(actions) == CALLS * ROUNDS
    if policy.propensity:
        assert all(0 < row["propensity"] <= 1 and row["propensity"] == row["action"]["propensity"] for row in rows)
    else:
        assert all("propensity" not in row for row in rows)
    assert experiment.stats("errors") == []


def test_one_call_at_a_time_gives_the_same_shapes(researcher: Researcher) -> None:
    policy = POLICIES[1]
    experiment = researcher.create(get_action=policy.get_action, set_reward=policy.set_reward)
    for value in (0, 1, 1):
        action = experiment.get_action().json()["action"]
        assert experiment.set_reward(context={}, action=action, reward={"value": value}).status_code == 200
    assert sum(theta["n"] for theta in experiment.theta().values()) == 3
    assert all(fits(theta, MEAN) for theta in experiment.theta().values())


@pytest.mark.parametrize("name", ["libs.nothing", "libs.__class__", "libs.base.Mean", "libsx"])
def test_what_is_not_in_the_library_cannot_be_imported_from_it(researcher: Researcher, name: str) -> None:
    experiment = researcher.create(get_action=f"import {name}")
    assert experiment.get_action().status_code == 500
    assert f"scripts cannot import '{name}'" in experiment.wait_for("errors")[0]["message"]
