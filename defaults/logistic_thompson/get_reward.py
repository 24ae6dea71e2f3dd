# The simulated click: the older the reader, the better does politics and the worse do sports.
rate = {"sports": 0.7 - 0.6 * self.context["age"], "politics": 0.1 + 0.6 * self.context["age"]}[self.action["topic"]]
self.reward["value"] = int(np.random.rand() < rate)
