prior = {"J": [0.0, 0.0, 0.0], "P": (0.01 * np.identity(3)).tolist(), "err": 1.0}
model = tbl.ThompsonBayesianLinear(self.get_theta() or prior)
price = self.action["price"]
model.update(y=self.reward["revenue"], x=[1, price, price**2])
self.set_theta(model)
