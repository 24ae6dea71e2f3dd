# The simulated sale: a discount makes new customers buy, and returning customers just pay less.
new = {0: 0.25, 10: 1 / 3, 20: 0.5}
returning = {0: 0.6, 10: 5 / 9, 20: 0.5625}
price = 40 - 0.4 * self.action["discount"]
chance = (new if self.context["customer"] == "new" else returning)[self.action["discount"]]
self.reward["revenue"] = price if np.random.rand() < chance else 0
