"""`python -m cluster doctor`, as it is said."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = """\
examples:
  python -m cluster doctor                                       this machine
  python -m cluster doctor sweeps/paper.yaml --storage s3://bucket/results
  python -m cluster doctor --address HEAD:6379 --json            a cluster; RAY_ADDRESS says it, too
exit code: 1 when there is a fault
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb doctor."""
    command = verbs.add_parser(
        "doctor",
        description="Check versions, GPUs, memory, disk, clocks, ports, tokens, storage and an all-reduce, on every node.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="sweep YAML: is the environment fit for it?")
    command.add_argument("--address", metavar="HEAD:PORT", help="of a cluster, instead of RAY_ADDRESS")
    command.add_argument("--storage", metavar="URI", help="root of the results folders, instead of the sweep's")
    command.add_argument("--json", action="store_true", help="for machines")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from cluster import doctor

    return doctor.main(given)
