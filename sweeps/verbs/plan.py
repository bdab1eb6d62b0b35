"""`python -m sweeps expand | plan`: a sweep's runs and their cost."""

from __future__ import annotations

import argparse
import json
from typing import Any

from repro.console import commands
from repro.console.options import CLUSTER, JSON, MEASURED, OUT, SWEEP, earlier, real
from repro.errors import UserError

EXPAND = (
    ("sweeps/quick.yaml", "one run a line"),
    ("sweeps/quick.yaml --out planned", "as tables, for `analysis power planned --sigma 0.006`"),
)
PLAN = (
    ("sweeps/laptop.yaml", "tokens and FLOPs by study"),
    (
        "sweeps/paper.yaml --cluster gpus=64,type=h100 --price-per-gpu-hour 2.5",
        "hours, cost, memory, workers and order of the runs on a cluster",
    ),
)


def add_parser(verbs: Any) -> None:
    """Adds both verbs to an `argparse` command."""
    does = "Lists the runs that a sweep file declares, or writes them as tables."
    expand = commands.add(verbs, "expand", does, EXPAND)
    plan = commands.add(
        verbs, "plan",
        "Prices the runs of a sweep before any is trained: tokens, epochs and FLOPs by study; with --cluster also hours, cost, "
        "memory, workers and the order in which runs start.",
        PLAN,
    )  # fmt: skip
    for parser, main in ((expand, _expand), (plan, _plan)):
        SWEEP.add(parser)
        parser.set_defaults(main=main)
    JSON.add(expand, "one object a run and line")
    OUT.add(
        expand, "the runs are written there as tables without losses, of which `analysis power` tells what they can show",
        default_is="none, they are listed",
    )  # fmt: skip
    earlier(expand, "--table", "--out")
    JSON.add(plan)
    CLUSTER.add(plan, default_is="none")
    plan.add_argument(
        "--price-per-gpu-hour", type=real("a price of a GPU-hour", 0, 1e9), metavar="PRICE",
        help="price of a GPU-hour, in any currency (default: no cost is printed)",
    )  # fmt: skip
    earlier(plan, "--price", "--price-per-gpu-hour")
    MEASURED.add(plan, default_is="throughput by the roofline")


def _expand(given: argparse.Namespace) -> int:
    if given.out is not None:
        return _write(given.file, given.out)
    from sweeps import plan

    return plan.print_expand(given.file, as_json=given.json)


def _write(file: str, out: str) -> int:
    """Writes the planned runs as runs.parquet, whose results are null, into a folder; returns the exit code."""
    from repro import columns, tables
    from repro.store.folder import Folder
    from sweeps import sweep_json
    from sweeps.grid import expand

    sweep, folder = expand(file, read_models=False), Folder.open(out, key="--out")
    kept = folder.read_json(sweep_json.FILE) if folder.exists(sweep_json.FILE) else {}
    if (kept or folder.exists("runs.parquet")) and kept.get("planned_only") is not True:
        found = f"those of {kept.get('name', 'a sweep')}"
        raise UserError("the folder holds results already", file=out, found=found, expected="a new folder for a plan")
    unknown = dict.fromkeys(column.name for column in columns.COLUMNS)
    rows = [
        unknown | columns.planned(run.spec) | {"sweep": sweep.name, "studies": list(run.studies)} for run in sweep.runs
    ]
    folder.write_json(sweep_json.FILE, {"name": sweep.name, "file": file, "planned_only": True})
    tables.write(folder, "runs.parquet", "runs", rows)
    print(f"{out}: {len(rows)} runs; python -m analysis power {out} --sigma NATS tells what they can show")
    return 0


def _plan(given: argparse.Namespace) -> int:
    if given.cluster is None:
        for option in ("price_per_gpu_hour", "measured"):
            if getattr(given, option) is not None:
                expected = "--cluster gpus=64,type=h100,per_node=8"
                raise UserError(f"--{option.replace('_', '-')} without a cluster", expected=expected)
        from sweeps import plan

        return plan.print_plan(given.file, as_json=given.json)
    from sweeps import plan_report

    quote = plan_report.Quote.of(given.file, given.cluster, given.price_per_gpu_hour, given.measured)
    print(json.dumps(plan_report.as_object(quote), indent=1) if given.json else "\n".join(plan_report.as_text(quote)))
    return 0
