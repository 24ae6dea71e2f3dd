# An index policy is deterministic: without the floor its propensities would be 0 and 1.
policy = ucb.KLUCB(self.get_theta(), ["A", "B", "C"], floor=0.1)
self.action["arm"], self.action["propensity"] = policy.pull()
