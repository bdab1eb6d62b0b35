"""`python -m cluster render TARGET FILE | wait | doctor [FILE]`."""

from __future__ import annotations

import argparse
import sys

from cluster import doctor, render, wait
from repro.errors import guarded

VERBS = {"render": render, "doctor": doctor, "wait": wait}  # each with add_parser(verbs) and main(given)

EXAMPLES = """examples:
  python -m cluster render --help                              manifests for Kubernetes, Slurm and clouds
  python -m cluster doctor sweeps/laptop.yaml                  is this machine fit for that sweep?
  python -m cluster doctor --address HEAD:6379 --json          and that cluster for any?
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster",
        description="Bring sweeps to a cluster.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in VERBS.values():
        verb.add_parser(verbs)
    given = parser.parse_args(argv)
    return VERBS[given.verb].main(given)


if __name__ == "__main__":
    sys.exit(main())
