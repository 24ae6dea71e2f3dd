x = self.action["price"] / 10
returning = int(self.context.get("customer") == "returning")

# Each replicate sees the sale twice or not at all, with equal chances.
fresh = {"b": [0.0] * 6, "A": np.identity(6).tolist(), "n": 0}
replicates = bts.BTS(self.get_theta(), lm.LM, m=50, default_params=fresh)
replicates.update(y=self.reward["revenue"], x=[1, x, x**2, returning, returning * x, returning * x**2])
self.set_theta(replicates)
