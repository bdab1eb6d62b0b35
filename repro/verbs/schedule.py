"""`python -m repro schedule`: resolves a schedule from compute to steps, or takes one in steps, and plots it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from typing import Any

from repro.console import commands
from repro.console.options import JSON
from repro.errors import UserError
from repro.schedule import SHAPES, TEETH, UNTIMED, Declared, PruningSchedule

IN_COMPUTE = ("dense_steps", "start", "end")
IN_STEPS = ("start_step", "end_step", "total_steps")
FACTS = (*IN_STEPS, "events", "density_avg", "compute_at_start", "compute_at_end")  # of a schedule, which are printed
_UNUSED = {"static_dense": ("start",)} | dict.fromkeys(UNTIMED, ("start", "end"))  # of a window, by shape
HEIGHT = 10


EXAMPLES = (
    (
        "--sparsity .8 --dense-steps 10000 --start .25 --end .75 --interval 25",
        "given in compute, as sweep files have it",
    ),
    ("--sparsity .8 --start-step 2500 --end-step 9000 --total-steps 15000 --interval 25", "given in steps"),
)


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs, "schedule",
        "Converts a pruning schedule and draws it: from shares of compute to steps (--dense-steps --start --end), or from steps "
        "to shares of compute (--start-step --end-step --total-steps).",
        EXAMPLES,
    )  # fmt: skip
    parser.add_argument(
        "--sparsity",
        type=float,
        required=True,
        metavar="SHARE",
        help="largest share of the weights that is removed, 0 to 1",
    )
    parser.add_argument(
        "--interval",
        type=int,
        required=True,
        metavar="N",
        help="steps between two pruning events of a shape that falls",
    )
    parser.add_argument(
        "--shape",
        choices=[shape for shape in SHAPES if shape != "pieces"],
        default="geometric",
        help="how the density falls or rises (default: %(default)s)",
    )
    parser.add_argument("--mirror", action="store_true", help="reflect the schedule in time")
    parser.add_argument(
        "--teeth", type=int, metavar="N", help=f"of saw_tooth: how often it is sparse, then dense (default: {TEETH})"
    )
    parser.add_argument(
        "--dense-steps", type=int, metavar="N", help="steps of the dense run whose compute the run gets (default: none)"
    )
    for name, what in (("start", "first"), ("end", "last")):
        parser.add_argument(
            f"--{name}",
            type=float,
            metavar="SHARE",
            help=f"{what} event, as a share of the compute, 0 to 1 (default: none)",
        )
    for name, what in (
        ("--start-step", "step of the first event"),
        ("--end-step", "step of the last event"),
        ("--total-steps", "steps of the whole run"),
    ):
        parser.add_argument(name, type=int, metavar="N", help=f"{what} (default: none)")
    JSON.add(parser, "without the drawing")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """Prints the schedule; returns the exit code."""
    schedule = from_arguments(args)
    facts = {name: getattr(schedule, name) for name in FACTS} | {"dense_steps": schedule.compute}
    if args.json:
        densities = schedule.densities
        print(json.dumps(facts | {"pieces": [*zip(densities.first_steps, densities.weights, strict=True)]}))
        return 0
    for name, value in facts.items():
        print(f"{name:<17}{value:,}" if isinstance(value, int) else f"{name:<17}{value:,.4f}".rstrip("0").rstrip("."))
    print()
    print("\n".join(drawing(schedule, shutil.get_terminal_size().columns)))
    return 0


def from_arguments(args: argparse.Namespace) -> PruningSchedule:
    """The schedule that the arguments name, in compute or in steps, never in both."""
    if args.teeth is not None and args.shape != "saw_tooth":
        found = f"{args.teeth}, {args.shape}"
        raise UserError("a shape without teeth", key="--teeth", found=found, expected="saw_tooth")
    given = [name for name in IN_COMPUTE + IN_STEPS if getattr(args, name) is not None]
    if given == list(IN_STEPS):
        schedule = PruningSchedule.in_steps(
            args.sparsity, args.start_step, args.end_step, args.total_steps, args.interval, args.shape
        )
        return schedule.mirrored() if args.mirror else schedule
    unused = _UNUSED.get(args.shape, ())
    needed = [name for name in IN_COMPUTE if name not in unused]
    if idle := [name for name in unused if name in given]:
        print(f"note: {_options(idle)} has no meaning for the shape {args.shape}", file=sys.stderr)
    if set(needed) <= set(given) <= set(IN_COMPUTE):
        window = {name: getattr(args, name) for name in given}
        return PruningSchedule.resolve(
            Declared(
                sparsity=args.sparsity,
                interval=args.interval,
                shape=args.shape,
                teeth=TEETH if args.teeth is None else args.teeth,
                mirror=args.mirror,
                **window,
            )
        )
    expected = f"{_options(needed)}, or {_options(IN_STEPS)}"
    raise UserError("a schedule is given in compute or in steps", found=_options(given) or "neither", expected=expected)


def _options(names: list[str] | tuple[str, ...]) -> str:
    return " ".join("--" + name.replace("_", "-") for name in names)


def drawing(schedule: PruningSchedule, width: int) -> list[str]:
    """A plot of density over steps as lines of block characters, at most `width` columns wide."""
    margin = 6
    columns = max(20, width - margin - 1)
    total = schedule.total_steps
    eighths = [round(8 * HEIGHT * schedule.density(column * total // columns)) for column in range(columns)]
    lines = ["density"]
    for row in reversed(range(HEIGHT)):
        label = f"{(row + 1) / HEIGHT:.1f}" if row % 2 else ""
        lines.append(
            f"{label:>{margin - 2}} │"
            + "".join(" ▁▂▃▄▅▆▇█"[max(0, min(8, fill - 8 * row))] for fill in eighths).rstrip()
        )
    lines.append(" " * (margin - 1) + "└" + "─" * columns)
    marks = dict.fromkeys((0, total, schedule.start_step, schedule.end_step))
    lines.append(" " * margin + _axis(list(marks), total, columns))
    lines.append(" " * margin + "step".center(columns).rstrip())
    return lines


def _axis(steps: list[int], total: int, columns: int) -> str:
    """Labels of steps at their positions on an axis from 0 to `total`; overlapping ones are left out."""
    line = " " * columns
    for step in steps:
        text = f"{step:,}"
        at = min(step * columns // total, columns - len(text))
        if not line[max(0, at - 1) : at + len(text) + 1].strip():
            line = line[:at] + text + line[at + len(text) :]
    return line.rstrip()
