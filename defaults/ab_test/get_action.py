versions = ["A", "B"]
self.action["version"] = random.choice(versions)
self.action["propensity"] = 1 / len(versions)
