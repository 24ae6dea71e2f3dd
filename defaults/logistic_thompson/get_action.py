# The features of the visitor, an intercept first.
x = [1, self.context.get("age", 0.5)]
policy = logistic.LogisticThompson(self.get_theta(), ["sports", "politics"])
self.action["topic"], self.action["propensity"] = policy.pull(x)
