# Twenty rewards are two whole periods of the oscillation, so a constant part of the reward cancels out.
centre = lif.LiF(self.get_theta(), x0=3.0, a=0.5, t=20, gamma=1.0, omega=2 * math.pi / 10, lifversion=1)
suggestion = centre.suggest()
self.action["x"] = suggestion["x"]
# Time and centre go along: when the reward comes in, both may have moved on.
self.action["t"] = suggestion["t"]
self.action["x0"] = suggestion["x0"]
self.set_theta(centre)
