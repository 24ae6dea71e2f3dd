# The simulated visitor: this policy does not look at the context.
self.context["returning"] = bool(np.random.rand() < 0.4)
