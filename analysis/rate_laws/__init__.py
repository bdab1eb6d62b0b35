"""Learning rates: the best of each kind of run, how it depends on density, and runs at their own best one."""
