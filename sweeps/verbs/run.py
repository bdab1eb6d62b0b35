"""`python -m sweeps run`: trains the runs that are not done."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import Any

from repro.bounds import PROCESSES
from repro.console.options import whole
from sweeps.verbs.plan import MEASURED


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = verbs.add_parser("run")
    parser.add_argument("file", help="sweep YAML")
    parser.add_argument("--results", help="root of the results folders; overrides the sweep's")
    parser.add_argument("--corpus", help="root of the corpora, a folder or a URI; overrides the sweep's")
    parser.add_argument("--lanes", type=whole(1, PROCESSES), help="number of concurrent runs; overrides the sweep's")
    parser.add_argument("--measured", metavar="FILE", help=MEASURED)
    parser.add_argument(
        "--only", metavar="RUN", action="append", default=[],
        help="train this run, and those that it starts from, alone; may stand several times",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="list what would be trained, train nothing")
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
