"""`python -m sweeps expand | plan | run FILE`, `python -m sweeps status RESULTS`, `python -m sweeps schema`."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

VERBS = {
    "expand": ("sweeps.verbs.plan", "list the runs that a sweep file declares"),
    "plan": ("sweeps.verbs.plan", "price the runs: tokens, epochs, FLOPs, totals by study"),
    "run": ("sweeps.verbs.run", "train the runs that are not done"),
    "schema": ("sweeps.verbs.schema", "print the JSON Schema of a sweep file, for editors, or write its keys as pages"),
    "status": ("sweeps.verbs.status", "show a sweep's progress, read from its files alone"),
}

EXAMPLES = """examples:
  python -m sweeps expand sweeps/paper.yaml            the runs, one per line
  python -m sweeps expand sweeps/paper.yaml --json     the same, one JSON object per line
  python -m sweeps expand my.yaml --table /tmp/planned  for `python -m analysis power /tmp/planned --noise 0.006`
  python -m sweeps plan sweeps/laptop.yaml             tokens and FLOPs by study
  python -m sweeps plan sweeps/paper.yaml --cluster gpus=64,type=h100,per_node=8 --price 2.5
                                                       hours, cost, memory, workers and start order on a cluster
  python -m sweeps run sweeps/quick.yaml               train what is not done
  python -m sweeps run sweeps/quick.yaml --dry-run     say what would be trained
  python -m sweeps run sweeps/paper.yaml --only 162m-20x-s80-d25-p50-seed0
                                                       one of its runs, and those that it starts from
  python -m sweeps status results/quick                its progress, from another terminal or machine
  python -m sweeps status results/quick --json         the same once, as JSON
  python -m sweeps schema > sweeps/sweep.schema.json   for editors that complete and check sweep files
  python -m sweeps schema --pages docs                 the same keys, for people
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    return commands.run("python -m sweeps", "Declare, price and run sweeps.", EXAMPLES, VERBS, argv)


if __name__ == "__main__":
    sys.exit(main())
