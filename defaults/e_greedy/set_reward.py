arm = self.action["arm"]
mean = base.Mean(self.get_theta(key="arm", value=arm))
mean.update(self.reward["value"])
self.set_theta(mean, key="arm", value=arm)
