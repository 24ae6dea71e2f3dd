conditions = ["baseline", "authority", "scarcity"]
participant = self.context.get("participant", "somebody")

# The draw is made once per participant and remembered.
assigned = self.get_theta(key="participant", value=participant)
if not assigned:
    assigned = {"condition": random.choice(conditions)}
    self.set_theta(assigned, key="participant", value=participant)
self.action["condition"] = assigned["condition"]
# The chance of the assignment. Later visits repeat it for certain, so only a participant's first decision may be
# weighted by one over this.
self.action["propensity"] = 1 / len(conditions)
