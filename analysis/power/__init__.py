"""What the claims' rules can tell: their error rates in worlds of known truth, and what would tell more."""

WORLDS = 150  # of each truth; here, so that a parser of options has it without what draws them
