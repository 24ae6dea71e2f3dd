"""What runs inside a confined worker process: the script API, the simulation loop, the undo log."""
