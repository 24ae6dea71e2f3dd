# The simulated subject: this policy does not look at the context.
self.context["site"] = random.choice(["north", "south"])
