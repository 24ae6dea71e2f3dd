"""How the interpreters that run scripts are started: those for live calls, and those for simulations.

Nothing of the server's environment reaches either. A simulation must give the same bytes again, on any processor. So
the order of sets of text is fixed for it, and the machine instructions that numpy and its linear algebra choose.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, field

# Everything above what numpy's wheels need at least; names that a version of numpy does not know change nothing.
_INSTRUCTIONS = (
    "X86_V3", "X86_V4", "AVX", "F16C", "FMA3", "AVX2", "AVX512F", "AVX512CD", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL",
    "AVX512_ICL", "AVX512_SPR", "ASIMDHP", "ASIMDDP", "ASIMDFHM", "SVE",
)  # fmt: skip
_CORES = {"x86_64": "Nehalem", "aarch64": "ARMV8"}  # the least that each may be


@dataclass(frozen=True)
class Interpreter:
    """The options and environment of an interpreter; ``niceness`` is added to that of every worker."""

    options: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    niceness: int = 0

    def command(self, boot: str, *arguments: str) -> list[str]:
        """The command that runs ``boot`` in it."""
        return [sys.executable, *self.options, "-c", boot, *arguments]


LIVE = Interpreter(("-I",), {"OPENBLAS_NUM_THREADS": "1"})
# -I would ignore PYTHONHASHSEED; -s and -P keep out what -I does, as the environment is empty otherwise.
SAME_BYTES = Interpreter(
    ("-s", "-P"),
    {
        "OPENBLAS_NUM_THREADS": "1",
        "OPENBLAS_CORETYPE": _CORES.get(platform.machine(), ""),
        "NPY_DISABLE_CPU_FEATURES": " ".join(_INSTRUCTIONS),
        "PYTHONHASHSEED": "0",
    },
    niceness=9,
)
