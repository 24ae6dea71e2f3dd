# The simulated measurement: the treatment helps, and makes the outcome three times as noisy.
mean, sd = {"control": (5, 1), "treatment": (6, 3)}[self.action["group"]]
self.reward["value"] = np.random.normal(mean, sd)
