# The features of the visitor, an intercept first.
x = [1, self.context.get("mobile", 0)]
# An index policy is deterministic: without the floor its propensities would be 0 and 1.
policy = linucb.LinUCB(self.get_theta(), ["list", "grid"], alpha=1.0, floor=0.1)
self.action["layout"], self.action["propensity"] = policy.pull(x)
