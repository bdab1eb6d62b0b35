"""python -m analysis VERB: what tables say."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

VERBS = {
    "report": ("analysis.verbs.results", "verdicts, figures and report.html"),
    "figures": ("analysis.verbs.results", "figures alone"),
    "claims": ("analysis.verbs.results", "verdicts alone, printed"),
    "noise": ("analysis.verbs.results", "the seeds' noise, and whether dense runs follow the law"),
    "lr": ("analysis.verbs.results", "best learning rates"),
    "keep": ("analysis.verbs.results", "tables, verdicts and figures as evidence for a repository"),
    "fit": ("analysis.verbs.tables", "fit one law to any table"),
    "compare": ("analysis.verbs.tables", "hold laws against each other on held-out rows"),
    "predict": ("analysis.verbs.tables", "what a saved fit says of other runs"),
    "design": ("analysis.verbs.tables", "which further runs narrow a prediction most for their price"),
    "rates": ("analysis.verbs.rates", "the best learning rate and batch of each budget of any table, and their laws"),
    "recipes": (
        "analysis.verbs.recipes",
        "the compute that recipes need for one loss, and whether small runs rank them",
    ),
    "isoflop": ("analysis.verbs.isoflop", "how the best size and tokens go with compute"),
    "power": ("analysis.verbs.power", "error rates of the claims' rules, by worlds of known truth"),
    "simulate": ("analysis.verbs.simulate", "draw a table from a known law"),
    "random-features": ("analysis.verbs.random_features", "what N(t) costs in a solvable model, without any table"),
}

EXAMPLES = """\
examples:
  python -m analysis report results/laptop                  report.html, claims.json and figures/ in that folder
  python -m analysis report results/laptop --out /tmp/page  the same, written elsewhere
  python -m analysis figures results/laptop                 each figure as .pdf, .png and .csv
  python -m analysis claims results/laptop --json           the verdicts and the numbers behind them
  python -m analysis noise results/laptop                   the seeds' noise by configuration, and the dense law's error
  python -m analysis keep results/laptop docs/evidence/laptop    a small folder on which `report` works again
  python -m analysis fit --help                             laws on any table; so compare, predict and design
  python -m analysis rates --help                           the best learning rates and batches of any table, and their laws
  python -m analysis recipes --help                         recipes of any table against each other, by compute and by rank
  python -m analysis isoflop --help                         exponents of the best size and tokens against compute
  python -m analysis power results/laptop                   how often each rule errs with this sweep's runs and noise
  python -m analysis simulate --help                        tables from a known law, to try all of this on
  python -m analysis random-features theory                 a figure of the solvable model beside the law
  python -m analysis lr results/laptop-lr                   the best learning rates, to write into a sweep file
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return commands.run(
        "python -m analysis",
        "What the tables of a sweep say: laws, verdicts, figures and one page.",
        EXAMPLES,
        VERBS,
        argv,
    )


if __name__ == "__main__":
    sys.exit(main(None))
