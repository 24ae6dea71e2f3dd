customer, discount = self.context.get("customer", "new"), self.action["discount"]
policy = gaussian.GaussianThompson(self.get_theta(key="customer", value=customer), [0, 10, 20])
policy.update(discount, self.reward["revenue"])
self.set_theta(policy, key="customer", value=customer)
if self.reward["revenue"]:
    self.log_data({"customer": customer, "discount": discount, "revenue": self.reward["revenue"]})
