version = self.action["version"]
share = base.Proportion(self.get_theta(key="version", value=version))
share.update(self.reward["value"])
self.set_theta(share, key="version", value=version)
