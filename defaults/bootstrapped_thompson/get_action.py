# One replicate of the regression, drawn at random, is believed for this customer. Prices are in tens, so that the
# columns of the regression are of one size.
fresh = {"b": [0.0] * 6, "A": np.identity(6).tolist(), "n": 0}
replicates = bts.BTS(self.get_theta(), lm.LM, m=50, default_params=fresh)
b = lm.LM(replicates.sample()).get_coefs()
returning = self.context.get("customer") == "returning"

# Where its parabola opens downwards the vertex is the best price; else any price, to learn.
slope, curvature = b[1] + b[4] * returning, b[2] + b[5] * returning
price = -10 * slope / (2 * curvature) if curvature < 0 else -1
self.action["price"] = float(price) if 0 <= price <= 20 else np.random.uniform(0, 20)
