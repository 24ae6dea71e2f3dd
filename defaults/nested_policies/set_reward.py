policy = self.action["policy"]

# The policy that chose the arm learns, in a theta of its own name.
if policy == "first":
    nested = greedy.EpsilonFirst(self.get_theta(name=policy), ["A", "B", "C"])
    nested.update(self.action["arm"], self.reward["value"])
    self.set_theta(nested, name=policy)
elif policy == "thompson":
    nested = thompson.BernoulliThompson(self.get_theta(name=policy), ["A", "B", "C"])
    nested.update(self.action["arm"], self.reward["value"])
    self.set_theta(nested, name=policy)
else:
    Experiment(policy).run_reward_code(self.context, self.action, self.reward)

# What the policies earn, side by side.
mean = base.Mean(self.get_theta(key="policy", value=policy))
mean.update(self.reward["value"])
self.set_theta(mean, key="policy", value=policy)
