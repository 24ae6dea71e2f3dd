# One policy for each kind of customer. Its prior: about 15 of revenue, give or take 20.
customer = self.context.get("customer", "new")
theta = self.get_theta(key="customer", value=customer)
policy = gaussian.GaussianThompson(theta, [0, 10, 20], m0=15, k0=1, a0=1, b0=400, floor=0.05)
self.action["discount"], self.action["propensity"] = policy.pull()
