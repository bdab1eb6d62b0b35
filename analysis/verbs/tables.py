"""`python -m analysis fit | compare | predict | design`: laws on any table, ours or another's."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from analysis.shown import say
from analysis.verbs import law_arguments
from analysis.verbs.law_arguments import LISTED
from analysis.verbs.shared_options import (
    BOOTSTRAP,
    BY,
    CLUSTERS,
    COLUMNS,
    EXCLUDE,
    FORMULA,
    LAW,
    SAME_NAME,
    SIGMA,
    TABLE,
    TARGET,
)  # fmt: skip
from analysis.verbs.table_arguments import objective, read_laws, show
from repro.console import commands
from repro.console.options import JSON, earlier, real, whole

if TYPE_CHECKING:
    from analysis.fits.fit_rows import FitRows
    from analysis.fits.table_fit import TableFit

FIT = (
    (
        "runs.csv --law chinchilla --bootstrap 200 --json > FIT.json",
        "a law that ships, with intervals, saved for `predict`",
    ),
    ("runs.csv --formula 'E + A/N^alpha + B/D^beta' --tie alpha=beta", "a law of your own"),
)
COMPARE = (
    ("runs.csv --law chinchilla --law over_training --holdout largest:N", "two laws, on the runs of the largest size"),
    ("docs/evidence/laptop --law N_avg --law N_final --holdout share:0.2:N_avg", "which size counts, in a sweep"),
)
PREDICT = (
    ("FIT.json N=1e9 D=2e10", "the loss of a run"),
    ("FIT.json C=1e21", "the best size and number of tokens for a training budget in FLOP"),
)
DESIGN = (
    (
        "runs.csv --law chinchilla --target N=7e10,D=1.4e12 --budget 2e21 --largest 6e9",
        "what to train before the large run",
    ),
    ("runs.csv --law chinchilla --target N=7e10,D=1.4e12 --budget 2e21 --runs 1 --json", "one run, for a program"),
)
PREDICT_NOTES = """\
what is predicted, by what is given:
  N=1e9 D=2e10, the columns of the law   the loss, with an interval where the fit was bootstrapped
  C=1e21                                 the best N and D for so many training FLOP
  loss=2.4                               the cheapest run that ends there; with N_final=1e8 that ends at this size (law N_avg),
                                         with T=1e12 counting so many tokens of inference
  within=0.05 N0=1e8 rho=0.25            the tokens until a pruned model is within so many nats of the model it was pruned from
                                         (laws post_training_pruning and post_training_nested); with L0 also the loss
"""


def add_parser(verbs: Any) -> None:
    """Adds the verbs fit, compare, predict and design."""
    one = commands.add(verbs, "fit", "Fits one law to any table of runs.", FIT, notes=LISTED)
    several = commands.add(
        verbs, "compare", "Holds laws against each other on rows that they weren't fitted to.", COMPARE, notes=LISTED
    )
    guess = commands.add(verbs, "predict", "Predicts other runs from a saved fit.", PREDICT, notes=PREDICT_NOTES)
    further = commands.add(
        verbs, "design",
        "Says how wide the interval of a prediction is, and which further runs narrow it most for their price.",
        DESIGN, notes=LISTED,
    )  # fmt: skip
    for command in (one, several, further):
        TABLE.add(command)
    _add_design(further)
    for command in (one, further):
        which = command.add_mutually_exclusive_group(required=True)
        LAW.add(which, "it or --formula is given", default_is="none")
        FORMULA.add(which, "it or --law is given", default_is="none")
    LAW.add(
        several, "or several, comma-separated; may be repeated: the first is held against the others",
        action="extend", type=law_arguments.names, choices=None, default=[], default_is="none",
    )  # fmt: skip
    earlier(several, "--laws", "--law")
    FORMULA.add(several, "may be repeated", action="append", default_is="none")
    for command in (one, several, further):
        law_arguments.add_options(command)
        COLUMNS.add(command, default_is=SAME_NAME)
        command.add_argument(
            "--objective",
            choices=("huber_log", "huber", "lad", "wls"),
            default="huber_log",
            help="what the fit minimises: the Huber loss of log residuals or of residuals, the sum of absolute log residuals (lad) or of "
            "squared residuals (wls) (default: %(default)s)",
        )
        command.add_argument(
            "--delta", type=float, metavar="NATS", help="threshold of the Huber loss, in nats (default: 0.001)"
        )
        EXCLUDE.add(command, default_is="none")
        CLUSTERS.add(command, "rows of one run are resampled together", default_is="each row is a run")
        SIGMA.add(command, "where it is known, for intervals of few runs", default_is="that of the residuals")
        JSON.add(command)
    BOOTSTRAP.add(further, default=1000)
    for command in (one, several):
        BOOTSTRAP.add(command, "100 or more; 0 leaves intervals out", default=0)
        command.add_argument(
            "--last",
            metavar="K",
            help="with --clusters: the mean of each run's last K evaluations is its row, where those are ordered by D, or by the "
            "column of K:COLUMN (default: each row is one)",
        )
        command.add_argument(
            "--weights",
            metavar="COLUMN",
            help="column of weights of the rows, positive numbers, of which only the ratios count (default: rows weigh the same)",
        )
        command.add_argument(
            "--holdout",
            metavar="RULE",
            help="rows that are predicted and not fitted: largest:N, lowest:S, share:0.2:D, each:clusters, or a condition such as "
            "N>1e9 (default: none)",
        )
    BY.add(one, "each group is fitted by itself, and --json prints a list", default_is="none")
    guess.add_argument("fit", metavar="FIT.json", help="what `fit --json` printed")
    guess.add_argument("given", nargs="+", metavar="NAME=VALUE", help="where the prediction is wanted, as below")
    JSON.add(guess)
    guess.add_argument(
        "--through",
        metavar="LOSS_FIT.json",
        help="fit of the loss, from whose prediction the column L of FIT.json is taken (default: none, L is given)",
    )
    for command, main in ((one, _fit), (several, _compare), (guess, _predict), (further, _design)):
        command.set_defaults(main=main)


def _add_design(command: argparse.ArgumentParser) -> None:
    """What `design` asks beside rows and a law."""
    command.set_defaults(holdout=None, weights=None, last=None)
    TARGET.add(command, required=True)
    command.add_argument(
        "--budget", required=True, type=real("a positive number", open_below=True), metavar="PRICE",
        help="what all further runs cost together at most: in training FLOP, 6 N D, or in the unit of --price",
    )  # fmt: skip
    command.add_argument(
        "--runs", type=whole(1, 12), default=3, metavar="N", help="further runs at most (default: %(default)s)"
    )
    command.add_argument(
        "--largest", type=real("a number of parameters", open_below=True), metavar="PARAMETERS",
        help="size of the largest further run (default: what the budget pays for)",
    )  # fmt: skip
    command.add_argument(
        "--candidates", metavar="TABLE", help="table of runs to choose from (default: a grid of sizes and tokens)"
    )
    command.add_argument(
        "--price",
        metavar="COLUMN",
        help="column of --candidates that holds what each run costs (default: 6 N D, in FLOP)",
    )


def _fit(given: argparse.Namespace) -> int:
    from analysis.fits import group_answers, table_fit

    rows, [law] = read_laws(given, [given.law] if given.law else [])
    kind = objective(given)

    def fitted(own: FitRows) -> TableFit:
        return table_fit.fit_rows(
            law, own, kind,
            resamples=given.bootstrap, rule=given.holdout, sigma=given.sigma, clustered=given.clusters is not None,
        )  # fmt: skip

    found = group_answers.by_group(rows, given.by, fitted, table_fit.lines_of_groups) if given.by else fitted(rows)
    show(found, given)
    say(found.warnings)
    return 0


def _compare(given: argparse.Namespace) -> int:
    from analysis.fits import table_comparison

    rows, laws = read_laws(given, given.law)
    found = table_comparison.compare_on(
        laws, rows, objective(given), rule=given.holdout, resamples=given.bootstrap, sigma=given.sigma
    )
    show(found, given)
    say(found.warnings)
    return 0


def _predict(given: argparse.Namespace) -> int:
    from analysis.verbs import predict

    return predict.predict(given)


def _design(given: argparse.Namespace) -> int:
    from analysis.fits import table_design
    from analysis.tables import readers

    rows, [law] = read_laws(given, [given.law] if given.law else [])
    candidates, target = None if given.candidates is None else readers.read(given.candidates), given.target.split(",")
    task = table_design.DesignTask(tuple(target), given.budget, given.runs, given.largest, candidates, given.price)
    found = table_design.design_on(law, rows, task, objective(given), sigma=given.sigma, resamples=given.bootstrap)
    show(found, given)
    say(found.warnings)
    return 0
