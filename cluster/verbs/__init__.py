"""Verbs of `python -m cluster` whose work needs more imports than their parser should wait for."""
