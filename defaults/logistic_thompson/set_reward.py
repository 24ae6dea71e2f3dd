x = [1, self.context.get("age", 0.5)]
policy = logistic.LogisticThompson(self.get_theta(), ["sports", "politics"])
policy.update(self.action["topic"], self.reward["value"], x)
self.set_theta(policy)
