# The simulated answer: arm D is the best one, C its closest rival.
rate = {"A": 0.2, "B": 0.3, "C": 0.45, "D": 0.7}[self.action["arm"]]
self.reward["value"] = int(np.random.rand() < rate)
