x = [1, self.context.get("mobile", 0)]
policy = linucb.LinUCB(self.get_theta(), ["list", "grid"])
policy.update(self.action["layout"], self.reward["value"], x)
self.set_theta(policy)
