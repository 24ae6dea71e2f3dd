# The simulated answer: arm C is the best one.
rate = {"A": 0.2, "B": 0.35, "C": 0.5}[self.action["arm"]]
self.reward["value"] = int(np.random.rand() < rate)
