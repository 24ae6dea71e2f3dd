"""Pure descriptions of what the server keeps: frozen dataclasses, no I/O."""
