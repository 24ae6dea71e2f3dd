"""Where researchers' scripts run: a zygote process, its confined workers and the pool that talks to them."""
