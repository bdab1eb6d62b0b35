"""`python -m analysis fit | compare | predict | design`: laws on any table, ours or another's."""

from __future__ import annotations

import argparse
from typing import Any

from analysis.laws.formulas import shipped
from analysis.laws.registry import LAWS
from analysis.verbs import law_arguments
from repro.console.options import real, whole

EXAMPLES = """\
examples:
  python -m analysis fit runs.csv --law chinchilla --columns N=params,D=tokens,loss=val_loss --bootstrap 4000
  python -m analysis fit results/laptop --law N_avg --exclude 'score!=magnitude' --json > FIT.json
  python -m analysis fit runs.csv --formula 'E + A/N^alpha + B/D^beta' --fix E=1.69 --tie alpha=beta
  python -m analysis fit runs.csv --formula 'E + A/(N*eff[precision])^alpha + B/D^beta' --bounds eff=0.05:2 --fix 'eff[bf16]=1'
  python -m analysis compare results/laptop --laws N_avg,N_final,N_dense --holdout largest:N_avg --bootstrap 1000
  python -m analysis predict FIT.json N=1e9 D=2e10      the loss, with its band when the fit was bootstrapped
  python -m analysis predict FIT.json C=1e21            the best N and D for a training budget
  python -m analysis predict FIT.json loss=2.4 N_final=1e8        the cheapest sparse run that ends there (law N_avg)
  python -m analysis predict FIT.json loss=2.4 T=1e12             the same, serving T tokens counted in
  python -m analysis fit results/p2/post_training.csv --law post_training_pruning --exclude 'role!=pruned' \\
      --exclude 'method!=depth-taylor' --clusters run_id --bootstrap 400 --json > FIT.json
  python -m analysis predict FIT.json within=0.05 N0=1e8 rho=0.25         tokens until a pruned model is so close to its parent
  python -m analysis design runs.csv --law chinchilla --columns N=params,D=tokens,loss=val_loss --target N=7e10,D=1.4e12 \\
      --budget 1e22 --runs 3 --largest 3e9              the next runs that narrow this prediction most
"""


def add_parser(verbs: Any) -> None:
    """Adds the verbs fit, compare, predict and design."""
    described = {"formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": EXAMPLES}
    one = verbs.add_parser("fit", description="Fit one law to any table.", **described)
    further = verbs.add_parser("design", description="Which further runs narrow a prediction most?", **described)
    _add_choices(further)
    for command in (one, further):
        which = command.add_mutually_exclusive_group(required=True)
        which.add_argument("--law", choices=(*LAWS, *shipped.NAMES), help="which law that ships")
        which.add_argument("--formula", metavar="TEXT", help=law_arguments.FORMULA_HELP)
    several = verbs.add_parser("compare", description="Which law predicts better?", **described)
    several.add_argument("--laws", help="names, comma-separated; the first is held against the others")
    several.add_argument(
        "--formula", action="append", metavar="TEXT", help=f"{law_arguments.FORMULA_HELP}; as often as wanted"
    )
    for command in (one, several, further):
        law_arguments.add_options(command)
        command.add_argument(
            "table", metavar="TABLE", help=".csv, .tsv, .json, .jsonl or .parquet, or a results folder"
        )
        command.add_argument(
            "--columns",
            action="append",
            default=[],
            metavar="N=…,D=…",
            help="names of the columns in the table, and of loss; or formulas of them, or with a unit: D=tokens:B",
        )
        command.add_argument("--objective", choices=("huber_log", "huber", "lad", "wls"), default="huber_log")
        command.add_argument("--delta", type=float, help="Huber threshold (default: 1e-3)")
        command.add_argument(
            "--exclude", action="append", default=[], metavar="COND", help="rows to leave out: loss>=4.5"
        )
        command.add_argument("--clusters", metavar="COLUMN", help="rows of equal value are resampled together")
        command.add_argument("--sigma", type=float, help="the seeds' standard deviation in nats, for few clusters")
        command.add_argument("--json", action="store_true", help="one JSON object; what fit prints, predict reads")
    for command in (one, several):
        command.add_argument(
            "--bootstrap", type=int, default=0, metavar="R", help="resamples behind intervals (0: none)"
        )
        command.add_argument(
            "--last",
            metavar="K",
            help="the mean of each run's last K evaluations is its row; K:COLUMN orders them, D else; with --clusters",
        )
        command.add_argument(
            "--weights", metavar="COLUMN", help="what each row weighs: positive numbers, of which ratios alone count"
        )
        command.add_argument(
            "--holdout", metavar="RULE", help="largest:N, lowest:S, share:0.2:D, each:clusters, or a condition: N>1e9"
        )
    one.add_argument("--by", metavar="COLUMN", help="one fit for each of its values; --json prints a list")
    guess = verbs.add_parser("predict", description="Predict from a saved fit.", **described)
    guess.add_argument("fit", metavar="FIT.json", help="what `fit --json` printed")
    guess.add_argument(
        "given", nargs="+", metavar="NAME=VALUE", help="columns; or C; or loss with N_final or T; or within, N0 and rho"
    )
    guess.add_argument("--json", action="store_true", help="one JSON object")
    guess.add_argument(
        "--through", metavar="LOSS_FIT.json", help="a fit of the loss, of whose columns FIT.json's L is then predicted"
    )
    for command, main in ((one, _fit), (several, _compare), (guess, _predict), (further, _design)):
        command.set_defaults(main=main)


def _add_choices(command: argparse.ArgumentParser) -> None:
    """What `design` asks beside rows and a law."""
    command.set_defaults(holdout=None, weights=None, last=None)
    command.add_argument("--target", required=True, metavar="N=…,D=…", help="where the prediction is wanted")
    command.add_argument(
        "--budget", required=True, type=real("a positive number", open_below=True), metavar="PRICE",
        help="of all further runs together: training FLOP, 6 N D, or as in --price",
    )  # fmt: skip
    command.add_argument("--runs", type=whole(1, 12), default=3, metavar="K", help="further runs at most (%(default)s)")
    command.add_argument(
        "--largest", type=real("a number of parameters", open_below=True), metavar="N",
        help="size of the largest (default: what the budget pays for)",
    )  # fmt: skip
    command.add_argument("--candidates", metavar="TABLE", help="runs to choose among, instead of a grid")
    command.add_argument("--price", metavar="COLUMN", help="what each of those costs, in any unit")
    command.add_argument(
        "--bootstrap", type=int, default=1000, metavar="R", help="resamples behind the interval (%(default)s)"
    )


def _fit(given: argparse.Namespace) -> int:
    from analysis.verbs import fit_command

    return fit_command.fit_table(given)


def _compare(given: argparse.Namespace) -> int:
    from analysis.verbs import compare_command

    return compare_command.compare_laws(given)


def _predict(given: argparse.Namespace) -> int:
    from analysis.verbs import predict

    return predict.predict(given)


def _design(given: argparse.Namespace) -> int:
    from analysis.verbs import design_command

    return design_command.choose(given)
