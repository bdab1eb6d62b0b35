"""The verbs of `python -m analysis`: each adds its parser, and imports what it needs when it is run."""
