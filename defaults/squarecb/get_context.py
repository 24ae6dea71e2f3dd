# The simulated visitor: half of them hold a phone.
self.context["mobile"] = int(np.random.rand() < 0.5)
