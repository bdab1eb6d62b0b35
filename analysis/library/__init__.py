"""The fitting tool in Python: what the commands do with any table, for a notebook or a script."""

from analysis.library.budget_answers import isoflop, rates, recipes
from analysis.library.designing import design
from analysis.library.fitting import compare, fit
from analysis.library.reading import read

__all__ = ["compare", "design", "fit", "isoflop", "rates", "read", "recipes"]
