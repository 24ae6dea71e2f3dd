policy = slate.Slate(self.get_theta(), ["A", "B", "C", "D"], k=2)
policy.update(self.action["offers"], self.reward["clicks"])
self.set_theta(policy)
