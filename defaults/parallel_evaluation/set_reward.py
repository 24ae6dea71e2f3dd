arms, arm, value = ["A", "B", "C"], self.action["arm"], self.reward["value"]

# Each candidate has a theta of its own name: what it would know, had it been in charge. Experiments of yours can be
# candidates too: Experiment(id).run_action_code(self.context), and run_reward_code on a match.
candidates = {
    "greedy": greedy.EpsilonGreedy(self.get_theta(name="greedy"), arms),
    "ucb": ucb.UCB1(self.get_theta(name="ucb"), arms),
    "thompson": thompson.BernoulliThompson(self.get_theta(name="thompson"), arms),
}
for name, policy in candidates.items():
    if policy.draw() == arm:
        policy.update(arm, value)
        self.set_theta(policy, name=name)
        mean = base.Mean(self.get_theta(key="policy", value=name))
        mean.update(value)
        self.set_theta(mean, key="policy", value=name)
