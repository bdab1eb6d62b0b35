"""The verbs of `python -m repro`: each adds its parser and does what its arguments say."""

# Runs of sweeps/quick.yaml, of which examples tell: one that is pruned, and a dense one.
RUN = "results/quick/runs/4k-10tpp-s80-d25-p50-seed0"
DENSE_RUN = "results/quick/runs/4k-10tpp-s00-seed0"
