arm = self.action["arm"]
share = base.Proportion(self.get_theta(key="arm", value=arm))
share.update(self.reward["value"])
self.set_theta(share, key="arm", value=arm)
