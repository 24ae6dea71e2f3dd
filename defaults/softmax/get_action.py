# The temperature is in units of the reward: 0.15 apart in the mean is a factor of e in the probability.
policy = softmax.Softmax(self.get_theta(), ["A", "B", "C"], tau=0.15)
self.action["arm"], self.action["propensity"] = policy.pull()
