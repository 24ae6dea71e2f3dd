centre = lif.LiF(self.get_theta(), x0=3.0, a=0.5, t=20, gamma=1.0, omega=2 * math.pi / 10, lifversion=1)
centre.update(self.action["t"], self.action["x"], self.reward["value"], self.action["x0"])
self.set_theta(centre)
