"""The command line of `python -m cluster doctor`."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = """\
examples:
  python -m cluster doctor                                       this machine
  python -m cluster doctor sweeps/paper.yaml --storage s3://bucket/results
  python -m cluster doctor --address HEAD:6379 --json            a cluster; or set RAY_ADDRESS
exit code: 1 if there is a fault
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb doctor."""
    command = verbs.add_parser(
        "doctor",
        description="Check versions, GPUs, memory, disk, clocks, ports, tokens, storage and an all-reduce, on every node.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="sweep YAML to check the environment for")
    command.add_argument("--address", metavar="HEAD:PORT", help="address of a cluster; overrides RAY_ADDRESS")
    command.add_argument("--storage", metavar="URI", help="root of the results folders; overrides the sweep's")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from cluster import doctor

    return doctor.main(given)
