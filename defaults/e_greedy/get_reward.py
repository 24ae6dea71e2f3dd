# The simulated answer: arm C is the best one.
rate = {"A": 0.2, "B": 0.4, "C": 0.8}[self.action["arm"]]
self.reward["value"] = int(np.random.rand() < rate)
