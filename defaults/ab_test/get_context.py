# The simulated visitor: a test that treats everybody alike needs no context.
self.context["returning"] = bool(np.random.rand() < 0.4)
