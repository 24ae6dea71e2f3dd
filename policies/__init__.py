"""What policy scripts may use: streaming estimators and bandit policies.

Each module holds one idea. Scripts have the modules under the names of ``SCRIPT_NAMES``, without an import. Nothing
here reads a file, starts a thread or imports anything once this package is imported, so it works in the sandbox.
"""

from policies import (
    base,
    bts,
    bucketing,
    discount,
    exp3,
    gaussian,
    greedy,
    lif,
    linear,
    linucb,
    lm,
    logistic,
    slate,
    softmax,
    squarecb,
    tbl,
    thompson,
    toptwo,
    ucb,
    window,
)

SCRIPT_NAMES: dict[str, object] = {
    "base": base,
    "bts": bts,
    "bucketing": bucketing,
    "discount": discount,
    "exp3": exp3,
    "gaussian": gaussian,
    "greedy": greedy,
    "lif": lif,
    "linear": linear,
    "linucb": linucb,
    "lm": lm,
    "logistic": logistic,
    "slate": slate,
    "softmax": softmax,
    "squarecb": squarecb,
    "tbl": tbl,
    "thmp": thompson,
    "thompson": thompson,
    "toptwo": toptwo,
    "ucb": ucb,
    "window": window,
}
