policy = greedy.EpsilonGreedy(self.get_theta(key="arm"), ["A", "B", "C"], epsilon=0.1)
self.action["arm"], self.action["propensity"] = policy.pull(self.context)
