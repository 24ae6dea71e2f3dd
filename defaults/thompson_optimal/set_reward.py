group = self.action["group"]
variance = base.Variance(self.get_theta(key="group", value=group))
variance.update(self.reward["value"])
self.set_theta(variance, key="group", value=group)
