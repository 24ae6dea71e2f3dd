# The features of the visitor, an intercept first.
x = [1, self.context.get("age", 0.5)]
# v is the standard deviation of the rewards' noise, 0.5 at most for zeros and ones.
policy = linear.LinearThompson(self.get_theta(), ["sports", "politics"], v=0.5)
self.action["topic"], self.action["propensity"] = policy.pull(x)
