"""What operators see: logs, and later metrics. A leaf: every room may import it, and it imports none."""
