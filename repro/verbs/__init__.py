"""The verbs of `python -m repro`: each adds its parser and does what its arguments say."""
