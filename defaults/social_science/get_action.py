conditions = ["baseline", "authority", "scarcity"]
participant = self.context.get("participant", "somebody")

# The draw is made once per participant and remembered.
assigned = self.get_theta(key="participant", value=participant)
if not assigned:
    assigned = {"condition": random.choice(conditions)}
    self.set_theta(assigned, key="participant", value=participant)
self.action["condition"] = assigned["condition"]
# The chance of the assignment: later visits repeat it.
self.action["propensity"] = 1 / len(conditions)
