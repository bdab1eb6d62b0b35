"""The fitting tool in Python: what the verbs fit, compare, predict and isoflop do, for a notebook or a script."""

from analysis.library.comparing import compare
from analysis.library.fitting import fit
from analysis.library.frontiers import isoflop
from analysis.library.reading import read

__all__ = ["compare", "fit", "isoflop", "read"]
