# The simulated answer: a rating around the condition's mean.
mean = {"baseline": 3.5, "authority": 4.5, "scarcity": 4.0}[self.action["condition"]]
self.reward["rating"] = np.random.normal(mean, 1)
