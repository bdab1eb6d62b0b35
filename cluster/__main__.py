"""`python -m cluster submit | logs | stop | fetch | render | doctor | wait`."""

from __future__ import annotations

import argparse
import sys

from cluster import doctor, fetch, jobs, render, wait
from repro.errors import guarded

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
        description="Sweeps on a Ray cluster.",
        epilog=EXAMPLES + jobs.EXAMPLES.removeprefix("examples:\n"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    jobs.add_parsers(verbs)
    for module in (fetch, render, doctor, wait):
        module.add_parser(verbs)
    given = parser.parse_args(argv)
    return given.run(given)


if __name__ == "__main__":
    sys.exit(main())
