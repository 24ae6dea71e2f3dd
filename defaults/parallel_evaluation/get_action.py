arms = ["A", "B", "C"]
self.action["arm"] = random.choice(arms)
self.action["propensity"] = 1 / len(arms)
