# The temperature is in units of the reward.
policy = slate.Slate(self.get_theta(), ["A", "B", "C", "D"], k=2, tau=0.2)
offers, self.action["propensity"] = policy.pull()
self.action["offers"] = list(offers)
