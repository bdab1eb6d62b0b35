"""`python -m cluster VERB`: sweeps on a cluster."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

ROOM = commands.Room(
    "cluster",
    "Sweeps on a cluster: submitted, watched, fetched, checked.",
    {
        "submit": ("cluster.submit", "submit a sweep, which trains the runs that are not done"),
        "logs": ("cluster.jobs", "print the driver's output of a submitted sweep"),
        "stop": ("cluster.jobs", "stop a submitted sweep; it saves checkpoints first"),
        "fetch": ("cluster.fetch", "copy a sweep's tables to this machine; again, only changed files"),
        "render": ("cluster.render", "write the manifest that runs a sweep on a cluster"),
        "doctor": ("cluster.doctor", "check an environment before a sweep"),
        "wait": ("cluster.wait", "wait until the nodes of the cluster at RAY_ADDRESS have joined"),
    },
)


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return commands.run_room(ROOM, argv)


if __name__ == "__main__":
    sys.exit(main())
