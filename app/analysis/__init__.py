"""What may be concluded from logs and simulations: pure functions, no I/O."""
