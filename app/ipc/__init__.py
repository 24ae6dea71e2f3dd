"""The engine in another process: frames, its client and its server."""
