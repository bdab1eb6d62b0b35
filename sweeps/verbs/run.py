"""`python -m sweeps run`: trains the runs that are not done."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import Any

from repro.bounds import PROCESSES
from repro.console import commands
from repro.console.options import CORPUS_ROOT, DRY_RUN, MEASURED, RESULTS_ROOT, SWEEP, whole

EXAMPLES = (
    ("sweeps/quick.yaml --dry-run", "what would be trained"),
    ("sweeps/quick.yaml --only 4k-10tpp-s80-d25-p50-seed0", "one run of it; without --only, all that are not done"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = commands.add(
        verbs, "run",
        "Trains the runs of a sweep that are not done, with Ray: on this machine, or on the cluster at RAY_ADDRESS. Ctrl-C saves "
        "checkpoints and stops; the same command resumes.",
        EXAMPLES,
    )  # fmt: skip
    SWEEP.add(parser)
    RESULTS_ROOT.add(parser, default_is="the sweep's storage.results")
    CORPUS_ROOT.add(parser, default_is="the sweep's storage.corpus")
    parser.add_argument(
        "--lanes", type=whole(1, PROCESSES), metavar="N", help="runs at once (default: the sweep's resources.lanes)"
    )
    MEASURED.add(parser, default_is="throughput by the roofline")
    parser.add_argument(
        "--only", metavar="RUN", action="append", default=[],
        help="train this run, and those that it starts from, alone; may be repeated (default: all runs)",
    )  # fmt: skip
    DRY_RUN.add(parser, "the runs are listed")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Trains according to the parsed arguments; returns the exit code."""
    from repro.paths import expand
    from sweeps import grid

    sweep = grid.expand(given.file)
    from sweeps import run
    from sweeps.throughput import Measured

    if given.corpus is not None:
        corpus = expand(given.corpus, key="--corpus")
        sweep = replace(sweep, storage=replace(sweep.storage, corpus=corpus))
    if given.measured is not None:
        Measured.read(given.measured)  # before texts are built and Ray is started
    if given.dry_run:
        return run.dry_run(sweep, results=given.results, only=given.only)
    try:
        return run.run(sweep, results=given.results, lanes=given.lanes, measured=given.measured, only=given.only)
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        sys.stdout.flush()
        os._exit(130)  # at once: Ray's shutdown would wait for processes that the signal may have ended too
