"""Running experiments: from the sums of each arm to comparisons, looks, guardrails and a decision."""
