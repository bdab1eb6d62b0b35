"""`sparse-scaling VERB`, the command that `pip install` brings: the verbs of all rooms under one name."""

from __future__ import annotations

import sys
from pathlib import Path

import analysis.__main__
import cluster.__main__
import repro.__main__
import sweeps.__main__
from repro.console import commands
from repro.console.guard import guarded

ROOMS = (repro.__main__.ROOM, sweeps.__main__.ROOM, cluster.__main__.ROOM, analysis.__main__.ROOM)


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    called = "python -m sparse_scaling" if Path(sys.argv[0]).name == Path(__file__).name else "sparse-scaling"
    return commands.run(called, "Scaling laws of models whose parameter count changes.", ROOMS, argv)


if __name__ == "__main__":
    sys.exit(main())
