"""MongoDB: the only package that imports its driver."""
