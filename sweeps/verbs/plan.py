"""`python -m sweeps expand | plan`: a sweep's runs and their cost."""

from __future__ import annotations

import argparse
from typing import Any

from repro.console.options import real
from repro.errors import UserError

MEASURED = (
    'JSON file with measured throughput: {"tokens_per_second": {DEVICE: {SIZE: tokens/s of one worker}}}, and of runs that '
    'share a device "beside": {DEVICE: {SIZE: {"2": their sum}}}'
)


def add_parser(verbs: Any) -> None:
    """Adds both verbs to an `argparse` command."""
    expand, plan = verbs.add_parser("expand"), verbs.add_parser("plan")
    for parser, main in ((expand, _expand), (plan, _plan)):
        parser.add_argument("file", help="sweep YAML")
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.set_defaults(main=main)
    expand.add_argument(
        "--table",
        metavar="FOLDER",
        help="write the runs as tables without losses, of which `analysis power` tells what they can show",
    )
    plan.add_argument(
        "--cluster",
        metavar="gpus=N,type=T",
        help="plan for this cluster; further keys: per_node (8), max_workers per run (one node), memory (GB per GPU)",
    )
    plan.add_argument("--price", type=real("a price of a GPU-hour", 0, 1e9), help="price per GPU-hour")
    plan.add_argument("--measured", metavar="FILE", help=MEASURED)


def _expand(given: argparse.Namespace) -> int:
    if given.table is not None:
        from sweeps import planned_table

        return planned_table.write(given.file, given.table)
    from sweeps import plan

    return plan.print_expand(given.file, as_json=given.json)


def _plan(given: argparse.Namespace) -> int:
    if given.cluster is None:
        for option in ("price", "measured"):
            if getattr(given, option) is not None:
                raise UserError(f"--{option} without a cluster", expected="--cluster gpus=64,type=h100,per_node=8")
        from sweeps import plan

        return plan.print_plan(given.file, as_json=given.json)
    from sweeps import plan_report

    made = plan_report.Quote.of(given.file, given.cluster, given.price, given.measured)
    return plan_report.print_quote(made, as_json=given.json)
