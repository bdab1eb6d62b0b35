"""`python -m sweeps VERB`: many runs."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

ROOM = commands.Room(
    "sweeps",
    "Many runs: declared in a file, priced, trained.",
    {
        "expand": ("sweeps.verbs.plan", "list the runs that a sweep file declares"),
        "plan": ("sweeps.verbs.plan", "price the runs: tokens, epochs, FLOPs, totals by study"),
        "run": ("sweeps.verbs.run", "train the runs that are not done"),
        "schema": (
            "sweeps.verbs.schema",
            "print the JSON Schema of a sweep file, for editors, or write its keys as pages",
        ),
        "status": ("sweeps.verbs.status", "show a sweep's progress, read from its files alone"),
    },
)


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return commands.run_room(ROOM, argv)


if __name__ == "__main__":
    sys.exit(main())
