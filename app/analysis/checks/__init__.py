"""The health of a running experiment: whether choices, arrivals and effects stay what they should be."""
