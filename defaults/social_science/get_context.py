# The simulated participant: one of a hundred thousand.
self.context["participant"] = f"p{np.random.randint(100000)}"
