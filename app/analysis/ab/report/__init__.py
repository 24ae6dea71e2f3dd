"""The design of an experiment in words, made by fixed rules from the plan."""
