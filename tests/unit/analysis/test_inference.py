"""Inference on arms: figures of a log that arithmetic fixes, and edges."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from app.analysis.arrays import to_json
from app.analysis.asymptotic import always_valid
from app.analysis.inference.infer import infer
from app.analysis.inference.options import InferenceOptions
from app.analysis.log import DecisionLog
from app.analysis.scores import arm_scores
from tests.unit.analysis.logs import w_log

LOG = w_log()
FOUND = infer(LOG)


def close(value: object) -> object:
    return pytest.approx(value, rel=1e-9)


def by_arm(method: str, figure: str = "value") -> list[float]:
    return [getattr(arm.detail[method], figure) for arm in FOUND.arms]


def test_arms() -> None:
    assert by_arm("naive") == close([0.3828603228, 0.4554455446, 0.3235294118])
    assert by_arm("uniform") == close([0.3826673814, 0.458983735, 0.3146796945])
    assert by_arm("uniform", "se") == close([0.01147614297, 0.05065993521, 0.04787065164])
    assert by_arm("constant") == close([0.3827936551, 0.4579697388, 0.3179938951])
    assert by_arm("constant", "se") == close([0.01147492855, 0.05059639694, 0.04796973686])
    assert by_arm("two_point") == close([0.3821458706, 0.4384045171, 0.3264268508])
    assert [arm.n for arm in FOUND.arms] == [1797, 101, 102]
    assert FOUND.arms[1].min_p == 0.05


def test_contrasts() -> None:
    found = FOUND.contrasts[0]
    assert (found.arm, found.control) == ("b", "a")
    for method, value, se in (
        ("uniform", 0.07631635363, 0.05194288861),
        ("constant", 0.07517608366, 0.05188000313),
        ("two_point", 0.05625864653, 0.05415123244),
    ):
        assert (found.detail[method].value, found.detail[method].se) == close((value, se))


def test_the_asymptotic_sequence() -> None:
    scores = arm_scores(LOG)
    contrast = scores[:, 1] - scores[:, 0]
    assert ((contrast - contrast.mean()) ** 2).sum() == close(10792.25471)
    found = always_valid(contrast)
    assert (found.rho2, found.radius) == close((0.0001347938201, 0.1771046913))
    assert always_valid(contrast[:99]) is None
    # Its width was fixed at row 100: later rows do not change how it is tuned.
    assert always_valid(contrast[:500]).rho2 == found.rho2


def test_several_contrasts_share_the_error() -> None:
    scores = arm_scores(LOG)
    alone = always_valid(scores[:, 1] - scores[:, 0], 0.975)
    assert FOUND.contrasts[0].detail["always_valid"] == alone
    two = infer(DecisionLog(("a", "b"), np.arange(200) % 2, np.full(200, 0.5), np.arange(200) % 3 / 2))
    assert two.contrasts[0].detail["uniform"].high - two.contrasts[0].detail["uniform"].value == close(
        1.959963984540054 * two.contrasts[0].detail["uniform"].se
    )


def test_scores_are_right_by_their_definition() -> None:
    scores, counts, sums = arm_scores(LOG), [0, 0, 0], [0.0, 0.0, 0.0]
    for t in range(300):
        arm, reward = int(LOG.chosen[t]), float(LOG.reward[t])
        for a in range(3):
            mean = sums[a] / counts[a] if counts[a] else 0.0
            expected = mean + ((reward - mean) / LOG.propensity[t] if a == arm else 0.0)
            assert scores[t, a] == pytest.approx(expected, abs=1e-12)
        counts[arm] += 1
        sums[arm] += reward


def test_an_arm_that_was_never_drawn() -> None:
    pmf = np.tile([0.4, 0.6, 0.0], (200, 1))
    log = DecisionLog(
        ("a", "b", "c"), np.arange(200) % 2, pmf[0, np.arange(200) % 2], np.ones(200), pmf=pmf, lo=-1.0, hi=2.0
    )
    last = infer(log).arms[2]
    assert (last.n, last.detail["uniform"], last.detail["always_valid"]) == (0, None, None)
    assert (last.detail["guaranteed"].low, last.detail["guaranteed"].high) == (-1.0, 2.0)
    json.dumps(to_json(infer(log)), allow_nan=False)


def test_rows_before_an_arm_was_added_and_while_it_was_paused_do_not_count() -> None:
    pmf = LOG.pmf.copy()
    late = np.arange(2000) < 500
    pmf[late] = [0.5, 0.0, 0.5]
    chosen = np.where(late & (LOG.chosen == 1), 0, LOG.chosen)
    log = replace(LOG, pmf=pmf, chosen=chosen, propensity=pmf[np.arange(2000), chosen])
    kept = log.rows(~late)
    found, alone = infer(log), infer(kept)
    assert found.arms[1].detail["uniform"].value == close(alone.arms[1].detail["uniform"].value)
    assert found.arms[1].min_p == 0.05


def test_a_log_without_pmf_has_uniform_weights_only() -> None:
    found = infer(replace(LOG, pmf=None))
    assert found.valid_once == ("naive", "uniform")
    assert found.arms[1].detail["uniform"].value == close(0.458983735)
    assert "constant" not in found.arms[1].detail


def test_context_narrows_what_it_explains() -> None:
    rng = np.random.default_rng(3)
    x, chosen = rng.normal(size=4000), rng.integers(0, 2, 4000)
    reward = 2 * x + chosen + rng.normal(size=4000)
    log = DecisionLog(("a", "b"), chosen, np.full(4000, 0.5), reward, pmf=np.full((4000, 2), 0.5), context={"x": x})
    found = infer(log, InferenceOptions(features=("x",))).contrasts[0].detail
    assert found["contextual"].se < 0.6 * found["uniform"].se
    assert abs(found["contextual"].value - 1) < 4 * found["contextual"].se


def test_constant_weights_are_shown_once_the_horizon_is_reached() -> None:
    assert FOUND.shown == ("always_valid",)
    assert infer(LOG, InferenceOptions(horizon=2000)).shown == ("always_valid", "constant")


def test_a_probability_below_one_in_n_is_warned_of() -> None:
    pmf = LOG.pmf.copy()
    pmf[5] = [1 - 2e-5, 1e-5, 1e-5]
    chosen = LOG.chosen.copy()
    chosen[5] = 0
    log = replace(LOG, pmf=pmf, chosen=chosen, propensity=pmf[np.arange(2000), chosen])
    assert [warning.split()[3] for warning in infer(log).warnings] == ["b", "c"]
    assert FOUND.warnings == ()
    assert infer(LOG, excluded={"no_propensity": 30}).warnings == ("30 decisions have no propensity and are left out.",)
    assert infer(LOG, excluded={"no_propensity": 20}).warnings == ()


def test_what_cannot_be_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="control"):
        infer(LOG, InferenceOptions(control="z"))
    with pytest.raises(ValueError, match="horizon"):
        InferenceOptions(horizon=10)
    with pytest.raises(ValueError, match="missing"):
        InferenceOptions(missing="bounds")
    holes = LOG.with_reward(np.where(np.arange(2000) % 10 == 0, np.nan, LOG.reward))
    with pytest.raises(ValueError, match="missing"):
        infer(holes)
    assert infer(holes, InferenceOptions(missing="drop")).rows == 1800


def test_no_rows() -> None:
    found = infer(LOG.rows(slice(0, 0)))
    assert (found.rows, found.arms[0].share) == (0, None)
    json.dumps(to_json(found), allow_nan=False)
