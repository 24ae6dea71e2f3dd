"""Planning: how many persons, for how long, and what effect they would show."""
