# The features of the visitor, an intercept first.
x = [1, self.context.get("mobile", 0)]
# After t rewards an arm that lies d behind has probability 1 / (K + 2 sqrt(t) d).
policy = squarecb.SquareCB(self.get_theta(), ["list", "grid"], gamma=2.0)
self.action["layout"], self.action["propensity"] = policy.pull(x)
