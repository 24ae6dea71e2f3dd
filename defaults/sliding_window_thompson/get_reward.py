# The simulated answer: arm C is the best one at first, and the rates move on by an arm after every thousand rewards.
season = self.get_theta().get("t", 0) // 1000
rates = [0.2, 0.4, 0.8]
rate = rates[("ABC".index(self.action["arm"]) + season) % 3]
self.reward["value"] = int(np.random.rand() < rate)
