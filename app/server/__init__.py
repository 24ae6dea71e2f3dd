"""The composition root: puts the parts together, listens, and runs several processes."""
