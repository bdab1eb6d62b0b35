"""`python -m analysis random-features`: rising and falling N(t) in the solvable random-feature model, without any table."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from repro.console import commands
from repro.console.options import OUT_PLACE, whole

LEAST = 32  # features: with fewer the mean-field solution is no good, and steps at the top of the cosine grow

EXAMPLES = (
    ("theory", "theory/random_features.pdf, .png and .csv, in half a minute"),
    ("theory --features 64 128", "with few features, in seconds"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb random-features."""
    command = commands.add(
        verbs, "random-features",
        "Draws what rising, falling and constant numbers of features cost in a solvable model (arXiv 2402.01092).",
        EXAMPLES,
    )  # fmt: skip
    command.usage = f"{command.prog} OUT [--features N ...]"  # --features before OUT would take it for a number
    OUT_PLACE.add(command, "a folder, a path or a URI")
    command.add_argument(
        "--features", type=whole(LEAST), nargs="+", metavar="N", help="numbers of features (default: 64 256 4096)"
    )
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Solves and draws; returns the exit code."""
    from analysis import figures
    from analysis.figures import random_features
    from repro.store.folder import Folder

    folder = Folder.open(given.out)
    folder.check_writable(key="OUT")  # before half a minute of solving
    solved: list[dict[str, Any]] = []
    for features in dict.fromkeys(given.features or random_features.SIZES):
        print(f"solving for {features:,} features", file=sys.stderr, flush=True)
        solved += random_features.solve(features)
    drawn = figures.write(random_features, solved, folder)
    print(f"{folder}/{drawn.name}.pdf .png .csv")
    print(drawn.caption)
    return 0
