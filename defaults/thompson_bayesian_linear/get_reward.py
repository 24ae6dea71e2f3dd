# The simulated sale: a noisy parabola with its top at 5.
self.reward["revenue"] = 10 - 0.4 * (self.action["price"] - 5) ** 2 + np.random.normal(0, 1)
