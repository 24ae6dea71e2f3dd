# The simulated clicks, one for each position: offer D is the best one, then C.
rates = {"A": 0.1, "B": 0.2, "C": 0.6, "D": 0.8}
self.reward["clicks"] = [int(np.random.rand() < rates[offer]) for offer in self.action["offers"]]
