# Ids of experiments of yours, say ["0193f2c1", "0193f2c7"]: each visitor is then handed to one of them. Their actions
# need a value "arm" only for get_reward here, which simulates.
experiments = []

if experiments:
    policy = random.choice(experiments)
    self.action = Experiment(policy).run_action_code(self.context)
else:
    policy = random.choice(["first", "thompson"])
    theta, arms = self.get_theta(name=policy), ["A", "B", "C"]
    if policy == "first":
        nested = greedy.EpsilonFirst(theta, arms, n=50, floor=0.05)
    else:
        nested = thompson.BernoulliThompson(theta, arms, floor=0.05)
    self.action["arm"], self.action["propensity"] = nested.pull()

# The action is the pair of policy and arm, and the propensity is the pair's. To evaluate a policy on the arms alone
# from the log, sum the probabilities of both pairs with that arm first: for an arm by itself this number is too small.
self.action["policy"] = policy
if "propensity" in self.action:
    self.action["propensity"] /= len(experiments) or 2
