"""Where sweeps run: on whatever Ray cluster there is."""
