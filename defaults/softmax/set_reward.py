policy = softmax.Softmax(self.get_theta(), ["A", "B", "C"])
policy.update(self.action["arm"], self.reward["value"])
self.set_theta(policy)
