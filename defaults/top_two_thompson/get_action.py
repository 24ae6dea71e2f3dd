policy = toptwo.TopTwoThompson(self.get_theta(), ["A", "B", "C", "D"])
self.action["arm"], self.action["propensity"] = policy.pull()
