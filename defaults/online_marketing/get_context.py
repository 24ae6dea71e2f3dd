# The simulated customer: two in five have been here before.
self.context["customer"] = "returning" if np.random.rand() < 0.4 else "new"
