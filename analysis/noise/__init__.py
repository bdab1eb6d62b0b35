"""The noise of the seeds, and whether dense runs follow the law as far as that noise lets them."""
