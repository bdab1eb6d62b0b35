"""Fits of one law to rows: the solver, its uncertainty, saved fits, and errors on held-out rows."""
