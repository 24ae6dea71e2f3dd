"""Properties over random inputs that are the same in each run, with no limit of time for slow machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis.strategies import SearchStrategy


def given(*strategies: SearchStrategy[Any], examples: int = 60) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test on so many draws of the strategies."""
    settled = hypothesis.settings(deadline=None, derandomize=True, max_examples=examples)
    return lambda test: settled(hypothesis.given(*strategies)(test))
