# The prior belongs to the choice: what is learnt are count, mean and variance.
policy = gaussian.GaussianThompson(self.get_theta(), ["A", "B", "C"])
policy.update(self.action["arm"], self.reward["value"])
self.set_theta(policy)
