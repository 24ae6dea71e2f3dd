"""Thetaloop: a server for sequential experiments."""
