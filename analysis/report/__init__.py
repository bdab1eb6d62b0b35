"""The report: one page of verdicts and figures, and what a reader needs to judge them."""
