"""A service that says again what it is told: the chassis and nothing else."""
