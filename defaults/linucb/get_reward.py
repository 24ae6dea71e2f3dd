# The simulated answer: phones like the list, other screens the grid.
rate = {"list": (0.3, 0.7), "grid": (0.6, 0.2)}[self.action["layout"]][self.context["mobile"]]
self.reward["value"] = int(np.random.rand() < rate)
