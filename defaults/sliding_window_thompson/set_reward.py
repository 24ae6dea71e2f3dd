policy = window.SlidingWindowThompson(self.get_theta(), ["A", "B", "C"], window=200)
policy.update(self.action["arm"], self.reward["value"])
self.set_theta(policy)
