"""Tables of known truth: drawn from a law, or a sweep's own runs with the losses that a law would give them."""
