"""The picture of a simulation, with matplotlib from the extra ``plot``."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError

_MAX_ARMS = 10


def require() -> None:
    """Raise ``ConfigurationError`` if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigurationError("--plot needs matplotlib: install the extra plot, pip install 'thetaloop[plot]'")


def draw(series: dict[str, Any], path: Path, title: str) -> None:
    """Mean reward, share of each arm and, where it is known, regret, each over the draws."""
    # Only here: it takes a second, and nothing else needs it.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "thetaloop"  # the same picture is the same file
    draws = series["draws"]
    panels = 3 if "regret" in series else 2
    figure = Figure(figsize=(5 * panels, 4), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(1, panels)
    for axis in axes:
        axis.set_xlabel("draws")
    axes[0].set_ylabel("mean reward")
    reward = _of(series, "reward")
    _curve(axes[0], {end: [v / n for v, n in zip(values, draws, strict=True)] for end, values in reward.items()}, draws)
    axes[1].set_ylabel("share of pulls")
    most = sorted(series["pulls"].items(), key=lambda arm: -arm[1][-1])[:_MAX_ARMS]
    for name, pulls in sorted(most):
        axes[1].plot(draws, [count / n for count, n in zip(pulls, draws, strict=True)], label=name[:30])
    axes[1].legend()
    if "regret" in series:
        axes[2].set_ylabel("regret")
        _curve(axes[2], _of(series, "regret"), draws)
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise ConfigurationError(f"--plot: {path} cannot be written: {error.strerror}") from error


def _of(series: dict[str, Any], name: str) -> dict[str, list[float]]:
    """The curve and, where it has one, its interval."""
    return {end: series[name + end] for end in ("", "_low", "_high") if name + end in series}


def _curve(axis: Any, curve: dict[str, list[float]], draws: list[int]) -> None:
    axis.plot(draws, curve[""])
    if "_low" in curve:
        axis.fill_between(draws, curve["_low"], curve["_high"], alpha=0.3)
