"""What the claims' rules can tell: their error rates in worlds of known truth, and what would tell more."""
