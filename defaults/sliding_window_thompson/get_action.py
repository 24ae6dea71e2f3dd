# The window spans all arms together. Choose it a few times shorter than the time between changes.
policy = window.SlidingWindowThompson(self.get_theta(), ["A", "B", "C"], window=200)
self.action["arm"], self.action["propensity"] = policy.pull()
