"""The verbs of `python -m sweeps`: each adds its parser and executes the parsed arguments."""
