"""What policy scripts may use: streaming estimators and bandit policies."""

from policies import base, thompson

# Scripts have these names without an import.
SCRIPT_NAMES: dict[str, object] = {
    "base": base,
    "thmp": thompson,
    "thompson": thompson,
}
