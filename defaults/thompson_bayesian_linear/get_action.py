# A vague prior: variance 100 for each coefficient, noise with variance 1. J is precision times mean.
prior = {"J": [0.0, 0.0, 0.0], "P": (0.01 * np.identity(3)).tolist(), "err": 1.0}
betas = tbl.ThompsonBayesianLinear(self.get_theta() or prior).sample()

# Where the drawn parabola opens downwards its vertex is the best price; else any price, to learn.
price = -betas[1] / (2 * betas[2]) if betas[2] < 0 else -1
self.action["price"] = float(price) if 0 <= price <= 10 else np.random.uniform(0, 10)
