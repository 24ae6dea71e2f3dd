# The prior: an arm earns about 10, and single rewards spread by about 3.
policy = gaussian.GaussianThompson(self.get_theta(), ["A", "B", "C"], m0=10, k0=1, a0=1, b0=9)
self.action["arm"], self.action["propensity"] = policy.pull()
