# Under a name of their own, because theta proper has a row for every participant.
condition = self.action["condition"]
ratings = base.Variance(self.get_theta(key="condition", value=condition, name="ratings"))
ratings.update(self.reward["rating"])
self.set_theta(ratings, key="condition", value=condition, name="ratings")
