"""Handlers of StreamingBandit's API, one module per noun."""
