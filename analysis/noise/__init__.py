"""The noise of the seeds, and whether dense runs follow the law within that noise."""
