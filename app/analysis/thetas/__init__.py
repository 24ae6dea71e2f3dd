"""Theta through time: folds over recorded events, and what two thetas differ in."""
