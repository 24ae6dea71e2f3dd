"""The page about the package: its examples run, its table has every statistic with its source."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import app.analysis.ab as package
from app.analysis.ab.statistic import EventCount, Proportion, RatioMean, SampleMean

PAGE = Path(__file__).parents[3] / "docs" / "analysis_ab.rst"
# What is no statistic: inputs, results, whole plans, and glue.
OTHER = {
    "ArmEvidence", "ComparisonResult", "CovariateSums", "Description", "EventCount", "Evidence", "Guardrail",
    "Interval", "LiveDesign", "Metric", "ParameterError", "PlanRequest", "Proportion", "RatioMean", "SampleMean",
    "Sensitivity", "Stratum", "TakenLook", "Traffic", "analyse", "calculate", "compare_live", "decide",
    "design_report", "per_exposure", "plan_guardrail", "planned_sample_size", "policy_of", "to_answer",
}  # fmt: skip


def rows() -> list[tuple[set[str], str]]:
    """Names and sources of the table."""
    table = PAGE.read_text(encoding="utf-8").split("list-table::")[1]
    cells = [re.split(r"\n     - ", row) for row in re.split(r"\n   \* - ", table)[2:]]
    return [(set(re.findall(r"``(\w+)``", names)), " ".join(source.split())) for names, _, source in cells]


def test_the_examples_run() -> None:
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert found.attempted > 20
    assert found.failed == 0


def test_every_statistic_is_in_the_table_once() -> None:
    listed = [name for names, _ in rows() for name in names]
    assert sorted(listed) == sorted(set(package.__all__) - OTHER)


def test_every_source_has_its_authors_and_year_in_the_docstring() -> None:
    for names, source in rows():
        texts = [inspect.getdoc(getattr(package, name)) or "" for name in names]
        modules = [inspect.getdoc(sys.modules[getattr(package, name).__module__]) or "" for name in names]
        told = " ".join(texts + modules)
        for author, year in re.findall(r"(\w+)(?:, \w+)*(?: et al\.)? \((\d{4})\)", source):
            assert year in told, (names, author, year)


def test_every_public_name_is_documented_and_exported() -> None:
    assert sorted(package.__all__) == package.__all__
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), name


def test_statistics_are_immutable() -> None:
    for made in (Proportion(1, 2), SampleMean(1, 1, 2), EventCount(1, 1.0), RatioMean(1, 1, 1, 1, 0, 2)):
        try:
            made.n = 5  # type: ignore[misc]
        except AttributeError:
            continue
        raise AssertionError(made)


def test_the_package_loads_neither_a_web_framework_nor_a_database_nor_the_slow_half_of_scipy() -> None:
    code = "import sys, app.analysis.ab; print(*sorted(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert loaded & {"tornado", "pymongo", "bson", "scipy.stats"} == set()
    assert {name for name in loaded if name.split(".")[0] == "app" and not name.startswith("app.analysis")} == {"app"}
