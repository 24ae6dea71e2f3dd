# The simulated answer: version B is the better one.
rate = {"A": 0.3, "B": 0.5}[self.action["version"]]
self.reward["value"] = int(np.random.rand() < rate)
