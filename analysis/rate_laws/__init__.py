"""Learning rates: the best of each kind of run, how it goes with density, and runs at their own."""
