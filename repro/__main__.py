"""`python -m repro schedule | train | corpus`: one run and its parts."""

from __future__ import annotations

import argparse
import sys

from repro.errors import guarded
from repro.verbs import corpus, schedule, train

VERBS = (schedule, train, corpus)

EXAMPLES = """examples:
  python -m repro schedule --sparsity .8 --dense-steps 10000 --start .25 --end .75 --interval 25
  python -m repro train results/quick/runs/RUN_ID --out /tmp/again     one run again, with no Ray
  python -m repro train later.yaml --out /tmp/fork --fork /tmp/again --at 2000
  python -m repro corpus build sweeps/quick.yaml                       a sweep's text as token shards
  python -m repro corpus inspect sweeps/quick.yaml                     what is in them
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m repro",
        description="One run: its schedule, its text, its training.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    given = parser.parse_args(argv)
    return given.main(given)


if __name__ == "__main__":
    sys.exit(main())
