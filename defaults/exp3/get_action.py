policy = exp3.EXP3(self.get_theta(), ["A", "B", "C"], gamma=0.1)
self.action["arm"], self.action["propensity"] = policy.pull()
