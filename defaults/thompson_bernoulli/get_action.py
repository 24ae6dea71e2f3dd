arms = thmp.BBThompsonList(self.get_theta(key="arm"), ["A", "B", "C"])
self.action["arm"] = arms.thompson()
self.action["propensity"] = arms.propensity(self.action["arm"])
