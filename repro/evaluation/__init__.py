"""Any model on any text or task: held-out loss, perplexity and the harness' metrics, with standard errors."""
