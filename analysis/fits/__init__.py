"""One law fitted to rows: the solver, what its answer is worth, how it is saved, and how it does on rows held out."""
