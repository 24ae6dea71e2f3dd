# After t rewards any arm is shown with probability 1 / (1 + 0.05 t), else the best one.
policy = greedy.EpsilonGreedy(self.get_theta(), ["A", "B", "C"], epsilon=1.0, decay=0.05)
self.action["arm"], self.action["propensity"] = policy.pull()
