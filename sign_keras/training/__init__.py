"""How a model learns: the optimiser's schedule, checkpoints that survive a kill, and guards."""
