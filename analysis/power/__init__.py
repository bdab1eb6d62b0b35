"""Error rates of the claims' rules in simulated sweeps of known truth, and the seeds or noise that would lower them."""

WORLDS = 150  # of each truth; here, so that a parser of options has it without what draws them
