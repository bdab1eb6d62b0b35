"""The verbs of `python -m sweeps`: each adds its parser and does what its arguments say."""
