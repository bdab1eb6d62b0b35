"""`python -m sweeps expand | plan | run FILE`, `python -m sweeps status RESULTS`."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace

from repro.errors import UserError, guarded
from sweeps import grid, plan, status

EXAMPLES = """examples:
  python -m sweeps expand sweeps/paper.yaml            the runs, a line each
  python -m sweeps expand sweeps/paper.yaml --json     the same, a JSON object a line
  python -m sweeps plan sweeps/laptop.yaml             tokens and FLOPs by study
  python -m sweeps plan sweeps/paper.yaml --cluster gpus=64,type=h100,per_node=8 --price 2.5
                                                       hours, money, memory, workers and order on a cluster
  python -m sweeps run sweeps/quick.yaml               train what is not done
  python -m sweeps run sweeps/quick.yaml --dry-run     say what would be trained
  python -m sweeps status results/quick                where it stands, from another terminal or machine
  python -m sweeps status results/quick --json         the same once, for machines
"""


def _lanes(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = -1.0
    if not 0 <= price < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a price of a GPU-hour")
    return price


def _plan(given: argparse.Namespace) -> int:
    if given.cluster is None:
        for option in ("price", "measured"):
            if getattr(given, option) is not None:
                raise UserError(f"--{option} without a cluster", expected="--cluster gpus=64,type=h100,per_node=8")
        return plan.print_plan(given.file, as_json=given.json)
    from sweeps import quote

    made = quote.Quote.of(given.file, given.cluster, given.price, given.measured)
    return quote.print_quote(made, as_json=given.json)


@guarded
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sweeps",
        description="Declare, price and run sweeps.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("expand", "list the runs that a sweep file declares"),
        ("plan", "price them: tokens, epochs, FLOPs, totals by study"),
    ):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("file", help="sweep YAML")
        sub.add_argument("--json", action="store_true", help="for machines")
        if verb == "plan":
            sub.add_argument(
                "--cluster",
                metavar="gpus=N,type=T",
                help="plan it on a cluster; more keys: per_node (8), max_workers of a run (a node), memory (GB a GPU)",
            )
            sub.add_argument("--price", type=_price, help="of a GPU-hour")
            sub.add_argument(
                "--measured",
                metavar="FILE",
                help='measured throughput, JSON: {"tokens_per_second": {DEVICE: {SIZE: of one worker}}}',
            )
    sub = verbs.add_parser("run", help="train the runs that are not done")
    sub.add_argument("file", help="sweep YAML")
    sub.add_argument("--results", help="root of the results folders, instead of the sweep's")
    sub.add_argument("--corpus", help="root of the corpora, instead of the sweep's: a folder or a URI")
    sub.add_argument("--lanes", type=_lanes, help="runs at once, instead of the sweep's")
    sub.add_argument(
        "--dry-run", action="store_true", help="price the sweep and say what would be trained, train nothing"
    )
    sub = verbs.add_parser("status", help="where a sweep stands, read from its files alone")
    sub.add_argument("results", help="a sweep's results folder, or its URI")
    sub.add_argument("--once", action="store_true", help="look once instead of again and again")
    sub.add_argument("--price", type=float, help="of an hour of all the machines at work: says what is left to pay")
    sub.add_argument("--json", action="store_true", help="once, for machines")
    given = parser.parse_args(argv)
    if given.verb == "status":
        try:
            return status.show(given.results, as_json=given.json, once=given.once, price=given.price)
        except KeyboardInterrupt:
            return 0
    if given.verb == "expand":
        plan.print_expand(given.file, as_json=given.json)
        return 0
    if given.verb == "plan":
        return _plan(given)
    from sweeps import run

    sweep = grid.expand(given.file)
    if given.corpus:
        sweep = replace(sweep, storage=replace(sweep.storage, corpus=given.corpus))
    if given.dry_run:
        return run.dry_run(sweep, results=given.results)
    try:
        return run.run(sweep, results=given.results, lanes=given.lanes)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.stdout.flush()
        os._exit(130)  # now: Ray's farewell would wait for processes that the signal may have ended too


if __name__ == "__main__":
    sys.exit(main())
