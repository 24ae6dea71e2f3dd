groups = thmp.ThompsonVarList(self.get_theta(key="group"), ["control", "treatment"])
self.action["group"] = groups.experimentThompson()
self.action["propensity"] = groups.propensity(self.action["group"])
