"""Comparison of recipes: the compute that each needs for a loss, and whether small runs rank them as large ones do."""
