"""Shared by every dialect: base handler, arguments, errors, sign-in, routing."""
