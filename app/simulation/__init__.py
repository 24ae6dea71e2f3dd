"""Runs of simulated experiments, for the command line and the service alike."""
