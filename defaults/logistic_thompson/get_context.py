# The simulated reader: a third each are young, middle-aged and old, on a scale from 0 to 1.
self.context["age"] = random.choice([0, 0.5, 1])
