"""``thetaloop analyse`` on files: the figures of the functions, and errors that say where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.analyse import KINDS, analyse
from app.cli.main import main
from tests.unit.analysis.logs import w_log

LOG = w_log()
TABLE = {"table": [{"when": {"x": 0}, "pmf": {"a": 1}}, {"pmf": {"b": 1}}]}
BODY = {"candidate": TABLE, "reward": {"field": "value", "lo": 0, "hi": 1}, "features": ["x"], "tau": 5}


def documents() -> list[dict[str, Any]]:
    assert LOG.pmf is not None
    return [
        {
            "context": {"x": int(x)},
            "action": {"arm": LOG.arms[arm], "text": f"page {arm}"},
            "propensity": p,
            "pmf": dict(zip(LOG.arms, pmf, strict=True)),
            "reward": {"value": reward},
            "default": False,
        }
        for x, arm, p, pmf, reward in zip(
            LOG.context["x"].tolist(),
            LOG.chosen.tolist(),
            LOG.propensity.tolist(),
            LOG.pmf.tolist(),
            LOG.reward.tolist(),
            strict=True,
        )
    ]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    path.write_text("\n".join(json.dumps(document) for document in documents()) + "\n\n")
    return path


def test_off_policy(path: Path) -> None:
    found = analyse("offpolicy", path, BODY)
    assert found["estimates"]["dr"]["value"] == pytest.approx(0.5356397846, rel=1e-9)
    assert found["estimates"]["switch_dr"]["se"] == pytest.approx(0.009388297413, rel=1e-9)
    assert found["sequence"]["low"] == pytest.approx(0.4213197005, rel=1e-9)
    assert set(found["sequence"]) == {"low", "high", "method", "k"}
    assert (found["status"], found["n"], found["verdict"], found["default"]) == ("done", 2000, "caution", "dr")
    assert set(found["reasons"][0]) == {"code", "value", "limit", "text"}
    assert set(found) == {
        *("status", "n", "excluded", "defaults", "weights", "pmf", "estimates", "sequence", "lift", "logged"),
        *("verdict", "reasons", "default"),
    }


def test_candidates_by_name_and_by_row(path: Path, tmp_path: Path) -> None:
    arm = analyse("offpolicy", path, {**BODY, "candidate": {"arm": "b"}})
    assert arm["estimates"]["ips"]["value"] == pytest.approx(0.456, rel=1e-9)
    uniform = analyse("offpolicy", path, {**BODY, "candidate": {"policy": "uniform"}})
    assert uniform["verdict"] == "answer"
    given = tmp_path / "given.jsonl"
    rows = [{**each, "candidate": {"a": 0.2, "b": 0.5, "c": 0.3}} for each in documents()]
    given.write_text("\n".join(map(json.dumps, rows)))
    found = analyse("offpolicy", given, {**BODY, "candidate": {"given": True}})
    assert found["estimates"]["ips"]["value"] == pytest.approx(0.3996104164, rel=1e-9)
    with pytest.raises(ValueError, match="candidate"):
        analyse("offpolicy", path, {**BODY, "candidate": {"given": True}})


def test_missing_rewards_count_as_the_default(tmp_path: Path) -> None:
    holes = tmp_path / "holes.jsonl"
    rows = [{**each, "reward": each["reward"] if t % 10 else None} for t, each in enumerate(documents(), 1)]
    holes.write_text("\n".join(map(json.dumps, rows)))
    body = {
        "candidate": {"table": [{"pmf": {"a": 0.2, "b": 0.5, "c": 0.3}}]},
        "missing": "default",
        "reward": {"default": 0},
    }
    found = analyse("offpolicy", holes, body)
    assert found["estimates"]["ips"]["value"] == pytest.approx(0.3470477815, rel=1e-9)
    with pytest.raises(ValueError, match="default"):
        analyse("offpolicy", holes, {**body, "reward": {}})


def test_inference_checks_and_audit(path: Path) -> None:
    inference = analyse("inference", path, {"control": "a", "reward": {"lo": 0, "hi": 1}})
    assert inference["arms"][1]["constant"]["value"] == pytest.approx(0.4579697388, rel=1e-9)
    assert inference["contrasts"][0]["two_point"]["se"] == pytest.approx(0.05415123244, rel=1e-9)
    assert {"arms", "contrasts", "horizon", "rows", "valid_once"} <= set(inference)
    checks = analyse("checks", path)
    assert checks["checks"][0]["log_evidence"] == pytest.approx(-1.323876074, rel=1e-9)
    assert {"name", "arm", "log_evidence", "p", "value", "limit", "alarm", "text"} <= set(checks["checks"][0])
    audit = analyse("audit", path)
    assert audit["verdict"] == "agrees"
    assert {"rows", "draws", "strata", "replay", "dispersion", "sum_defect", "mean_weight", "verdict", "text"} <= set(
        audit
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_is_answered_in_json_without_nan(kind: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    options = {"candidate": {"policy": "uniform"}} if kind == "offpolicy" else {}
    json.dumps(analyse(kind, empty, options), allow_nan=False)


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("guess", {}, "kind"),
        ("offpolicy", {}, "candidate"),
        ("offpolicy", {**BODY, "levels": 0.9}, "levels"),
        ("offpolicy", {**BODY, "features": ["y"]}, "features"),
        ("offpolicy", [], "options"),
        ("inference", {"control": "z"}, "control"),
        ("checks", {"expects": "never"}, "expects"),
        ("audit", {"draws": 3}, "draws"),
    ],
)
def test_what_cannot_be_is_refused_by_name(kind: str, options: Any, name: str, path: Path) -> None:
    with pytest.raises(ValueError, match=name):
        analyse(kind, path, options)


def test_arms_that_are_coarser_than_their_propensities_are_refused(tmp_path: Path) -> None:
    coarse = tmp_path / "coarse.jsonl"
    rows = [{"action": {"arm": "a", "policy": t % 2}, "propensity": 0.5, "reward": 1} for t in range(200)]
    coarse.write_text("\n".join(map(json.dumps, rows)))
    found = analyse("offpolicy", coarse, {"candidate": {"arm": "a"}, "action_key": "arm"})
    assert found["verdict"] == "refuse"
    assert "coarse_action" in [reason["code"] for reason in found["reasons"]]
    for kind in ("inference", "checks"):
        with pytest.raises(ValueError, match="action_key"):
            analyse(kind, coarse, {"action_key": "arm"})


def test_lines_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"action": {}}\n{"action"')
    with pytest.raises(ValueError, match="line 2"):
        analyse("audit", bad)
    bad.write_text('{"action": {}}\n{"context": {}}')
    with pytest.raises(ValueError, match="row 2: action"):
        analyse("audit", bad)
    with pytest.raises(OSError, match="none"):
        analyse("audit", tmp_path / "none.jsonl")


def test_the_command_prints_what_the_function_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.jsonl"
    rows = [
        {"context": {}, "action": {"arm": "ab"[n % 2]}, "propensity": 0.5, "reward": {"value": n % 3}}
        for n in range(200)
    ]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["analyse", "offpolicy", str(log), "--options", '{"candidate": {"arm": "b"}}']) == 0
    assert json.loads(capsys.readouterr().out) == analyse("offpolicy", log, {"candidate": {"arm": "b"}})


@pytest.mark.parametrize(
    ("content", "complaint"), [("{", "line 1: is not JSON"), (None, "cannot be read: No such file or directory")]
)
def test_a_log_that_cannot_be_read_is_an_error_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, complaint: str
) -> None:
    log = tmp_path / "log.jsonl"
    if content is not None:
        log.write_text(content)
    assert main(["analyse", "checks", str(log)]) == 1
    assert complaint in capsys.readouterr().err
