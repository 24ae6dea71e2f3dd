# Without the floor the losing arms would have propensity 0 once the trial is over.
policy = greedy.EpsilonFirst(self.get_theta(), ["A", "B", "C"], n=100, floor=0.05)
self.action["arm"], self.action["propensity"] = policy.pull()
