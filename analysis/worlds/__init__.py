"""Simulated tables with a known truth: drawn from a law, or a sweep's own runs with the losses that a law gives them."""
