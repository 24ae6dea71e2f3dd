"""The check sees modules, and names of modules, that scripts do not have; and nothing where it cannot be certain."""

from __future__ import annotations

import asyncio

import pytest

from app.sandbox.protocol import Fault
from tests.sandbox.direct import pool, run

MISSING = {
    "from scipy import stats": "'scipy' has no 'stats' that scripts can use",
    "from scipy import special, optimize": "'scipy' has no 'optimize' that scripts can use",
    "import numpy as n\nx = n.infinity_": "'n' has no 'infinity_' that scripts can use",
    "x = sp.stats.norm": "'sp' has no 'stats' that scripts can use",
    "def f():\n    return scipy.optimize.minimize": "'scipy' has no 'optimize' that scripts can use",
    "from libs import scikit": "'libs' has no 'scikit' that scripts can use",
    "from libs.base import Meen": "'libs.base' has no 'Meen' that scripts can use",
    "x = greedy.EpsilonGredy": "'greedy' has no 'EpsilonGredy' that scripts can use",
    "x = np.random.rnad()": "'np.random' has no 'rnad' that scripts can use",
    "import libs.base as b\nx = b.Meen": "'b' has no 'Meen' that scripts can use",
}
SOUND = [
    "from __future__ import annotations\nx: Nowhere = 1",
    "from scipy import special\nimport scipy.special as s\nx = s.expit, sp.special.expit, scipy.special.expit",
    "from libs import base, thompson_bayesian_linear\nimport libs.lm as l\nx = l.LM",
    "import numpy.linalg\nx = numpy.linalg.inv, np.linalg.inv, np.asscalar, math.pi",
    "from collections import abc\nfrom numpy import random as r\nx = r.rand(), abc.Mapping",
    "try:\n    x = np.float_\nexcept AttributeError:\n    x = np.float64",
    "x = np.float_ if hasattr(np, 'float_') else np.float64",
    "np.memory = 1\nx = np.memory",
    "np = 5\nx = np.anything",
    "def f(np):\n    return np.anything",
    "import math as np\nnp = {}\nx = np.anything",
    "x = np.arange(3).anything",
    "from scipy import *\nfrom math import *",
]


def faults(*sources: str) -> list[list[Fault]]:
    async def check_all() -> list[list[Fault]]:
        async with pool() as workers:
            return [await workers.check({"get_context": source}, lint=True) for source in sources]

    return asyncio.run(check_all())


def test_a_name_that_a_module_lacks_is_a_mistake() -> None:
    for (source, message), found in zip(MISSING.items(), faults(*MISSING), strict=True):
        assert [fault.message for fault in found] == [message], source


def test_what_may_be_right_is_no_mistake() -> None:
    for source, found in zip(SOUND, faults(*SOUND), strict=True):
        assert found == [], source


@pytest.mark.parametrize("source", MISSING)
def test_what_the_check_finds_fails_when_it_runs(source: str) -> None:
    async def outcome() -> object:
        async with pool() as workers:
            call = "\nf()" if source.startswith("def") else ""
            return (await run(workers, source + call))[0]

    assert "Error" in asyncio.run(outcome()).message  # type: ignore[attr-defined]


def test_annotations_of_the_future_are_allowed() -> None:
    async def outcome() -> object:
        async with pool() as workers:
            source = "from __future__ import annotations\nx: Nowhere = 1\nself.action['x'] = x"
            return (await run(workers, source))[0]

    assert asyncio.run(outcome()).result == {"x": 1}  # type: ignore[attr-defined]
