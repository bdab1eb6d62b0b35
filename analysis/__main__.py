"""`python -m analysis VERB`: what tables say."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

ROOM = commands.Room(
    "analysis",
    "What tables say: laws, verdicts, figures, the report.",
    {
        "report": ("analysis.verbs.results", "write verdicts, figures and report.html from a sweep's tables"),
        "figures": ("analysis.verbs.results", "draw the figures alone"),
        "claims": ("analysis.verbs.results", "print the verdicts alone"),
        "noise": ("analysis.verbs.results", "measure the noise over seeds, and how well dense runs follow the law"),
        "lr": ("analysis.verbs.results", "find the best learning rates of a sweep that searched for them"),
        "keep": ("analysis.verbs.results", "copy tables, verdicts and figures as evidence for a repository"),
        "simulate": ("analysis.verbs.simulate", "draw a table from a known law"),
        "fit": ("analysis.verbs.tables", "fit one law to any table"),
        "compare": ("analysis.verbs.tables", "hold laws against each other on held-out rows of any table"),
        "predict": ("analysis.verbs.tables", "predict other runs from a saved fit"),
        "design": ("analysis.verbs.tables", "choose the further runs that narrow a prediction most for their price"),
        "rates": ("analysis.verbs.rates", "find the best learning rate and batch of each budget of any table"),
        "recipes": ("analysis.verbs.recipes", "compare training recipes of any table, by compute and by rank"),
        "isoflop": ("analysis.verbs.isoflop", "find how the best size and number of tokens grow with compute"),
        "power": ("analysis.verbs.power", "count how often the claims' rules err in sweeps of known truth"),
        "random-features": (
            "analysis.verbs.random_features",
            "draw what N(t) costs in a solvable model, without a table",
        ),
    },
)


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return commands.run_room(ROOM, argv)


if __name__ == "__main__":
    sys.exit(main())
