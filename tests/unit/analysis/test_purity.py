"""The analyses need neither server nor database."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, app.analysis.documents
print(sorted({name.split(".")[0] for name in sys.modules} & {"tornado", "pymongo", "bson", "msgspec", "policies"}))
own = {name for name in sys.modules if name.startswith("app.")}
print(sorted(name for name in own if not name.startswith("app.analysis")))
"""


def test_they_import_numpy_scipy_and_the_domain_only() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    foreign, own = done.stdout.splitlines()
    assert foreign == "[]"
    assert own == "['app.domain', 'app.domain.values']"
