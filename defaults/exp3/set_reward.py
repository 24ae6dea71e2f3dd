policy = exp3.EXP3(self.get_theta(), ["A", "B", "C"], gamma=0.1)
# The propensity of the decision: theta may have moved on since.
policy.update(self.action["arm"], self.reward["value"], propensity=self.action["propensity"])
self.set_theta(policy)
