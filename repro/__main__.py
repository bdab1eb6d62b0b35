"""`python -m repro schedule | train | corpus | evaluate | export | inspect`: one run and its parts."""

from __future__ import annotations

import argparse
import sys

from repro.errors import guarded
from repro.verbs import corpus, evaluate, export, inspect, schedule, train

VERBS = (schedule, train, corpus, evaluate, export, inspect)

EXAMPLES = """examples:
  python -m repro schedule --sparsity .8 --dense-steps 10000 --start .25 --end .75 --interval 25
  python -m repro train results/quick/runs/RUN_ID --out /tmp/again     one run again, with no Ray
  python -m repro train later.yaml --out /tmp/fork --fork /tmp/again --at 2000
  python -m repro train next.yaml --out /tmp/next --init out/model     from weights instead of the initialisation
  python -m repro corpus build sweeps/quick.yaml                       a sweep's text as token shards
  python -m repro corpus inspect sweeps/quick.yaml                     what is in them
  python -m repro evaluate results/quick/runs/RUN_ID 'texts/*.txt' --stride 64     loss and perplexity on any text
  python -m repro export results/quick/runs/RUN_ID out/model           for transformers
  python -m repro inspect out/model --claim sparsity=.8                count its weights
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m repro",
        description="One run: its schedule, its text, its training, its model.",
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
