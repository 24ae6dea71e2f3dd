policy = toptwo.TopTwoThompson(self.get_theta(), ["A", "B", "C", "D"])
policy.update(self.action["arm"], self.reward["value"])
self.set_theta(policy)
