"""The command line of `python -m cluster doctor`."""

from __future__ import annotations

import argparse
from typing import Any

from repro.console import commands
from repro.console.options import earlier
from repro.console.shared_options import ADDRESS, JSON, RESULTS_ROOT, SWEEP

EXAMPLES = (
    ("sweeps/laptop.yaml", "this machine, for that sweep"),
    ("--address head:6379 --json", "a cluster, for a program"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb doctor."""
    command = commands.add(
        verbs, "doctor",
        "Checks versions, GPUs, memory, disk, clocks, ports, tokens, storage and an all-reduce on every node, before a sweep. "
        "The exit code is 1 if there is a fault.",
        EXAMPLES,
    )  # fmt: skip
    SWEEP.add(command, "to check its needs too", nargs="?")
    ADDRESS.add(command, default_is="RAY_ADDRESS, else this machine")
    RESULTS_ROOT.add(command, default_is="the sweep's storage.results")
    earlier(command, "--storage", "--results")
    JSON.add(command)
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from cluster import doctor

    return doctor.main(given)
