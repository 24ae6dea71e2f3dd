"""The audit of propensities: whether a script chooses with the probabilities that it declares."""
