"""The hot path: runtimes that gather calls into batches, and the commits that make them last."""
