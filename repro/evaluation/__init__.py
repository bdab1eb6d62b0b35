"""Evaluates any model on any text or task: held-out loss, perplexity and task metrics, with standard errors."""
