"""`python -m analysis recipes`: recipe against recipe, by compute and by rank, on any table."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from repro.console.options import real

if TYPE_CHECKING:
    from analysis.recipes.comparison import RecipeComparison
    from analysis.recipes.fractions import AgainstReference, Crossing, Estimate

LINES = 10  # of budgets, in a terminal
FEW = 4  # recipes that are shown with so many; of more, each with its largest budget and the extrapolation
T = TypeVar("T")

EXAMPLES = """\
examples:
  python -m analysis recipes runs.csv --by dataset --columns N=params,D=tokens,loss=val_loss
  python -m analysis recipes ladder.csv --by recipe --columns C=flops --reference baseline --beyond 10 100
  python -m analysis recipes ladder.csv --by recipe --json --out figures
One row a run; seeds are rows of one recipe and one budget. Where D/N is one ratio in every row, or C alone is known, each
recipe's loss is fitted as E + A/C^γ, else as E + A/N^α + B/D^β; a fraction of compute is along the budget's own D/N.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb recipes."""
    from analysis.verbs import budget_arguments

    command = verbs.add_parser(
        "recipes",
        description="At which fraction of compute one recipe reaches another's loss, and how often small runs rank recipes as large ones do.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    budget_arguments.add(command, "N=…,D=…")
    command.add_argument("--by", required=True, metavar="COLUMN", help="the column that tells recipes apart")
    command.add_argument(
        "--reference",
        metavar="RECIPE",
        help="whose loss the others are to reach (default: the highest at the largest shared budget)",
    )
    command.add_argument(
        "--beyond",
        nargs="+",
        type=real("a multiple of the largest budget, over 1", 1.0, 1e6, open_below=True),
        default=[10.0],
        metavar="K",
        help="multiples of the reference's largest budget to extrapolate to (10)",
    )
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the comparison; returns the exit code."""
    from analysis.recipes import comparison
    from analysis.shown import plain_json, say
    from analysis.verbs import budget_arguments

    folder = budget_arguments.place(given)
    rows = budget_arguments.read(given)
    names = budget_arguments.labels(rows, given.by)
    found = comparison.compare(
        rows, names, given.by, reference=given.reference, times=given.beyond, sigma=given.sigma, resamples=given.bootstrap
    )  # fmt: skip
    print(json.dumps(plain_json(as_json(found)), indent=1) if given.json else "\n".join(lines(found)))
    if folder is not None:
        from analysis import figures
        from analysis.figures import recipes

        figures.write(recipes, found, folder)
    say(found.warnings)
    return 0


def as_json(found: RecipeComparison) -> dict[str, Any]:
    """All of it as plain values."""
    noise = found.curves.noise
    return {
        "source": found.source,
        "by": found.by,
        "law": found.curves.law.formula,
        "reference": found.reference,
        "noise": None
        if noise is None
        else {"sd": noise.sd.tolist(), "dof": [spread.dof for spread in noise.spreads], "source": noise.source},
        "no_noise": found.curves.reason,
        "scatter": found.curves.scatter,
        "recipes": [
            {
                "name": curve.name,
                "runs": int(curve.means.runs.sum()),
                "budgets": len(curve.means.budgets),
                "parameters": curve.fit.parameters,
                "bounds_hit": curve.fit.bounds_hit,
            }
            for curve in found.curves.curves
        ],
        "against_reference": [dataclasses.asdict(own) for own in found.against],
        "target": found.target,
        "rankings": [dataclasses.asdict(own) for own in found.rankings],
        "warnings": list(found.warnings),
    }


def lines(found: RecipeComparison) -> Iterator[str]:
    """The same as text."""
    from analysis.tables.budgets import shown

    names = found.curves.curves
    runs = sum(int(curve.means.runs.sum()) for curve in names)
    yield f"{len(names)} recipes by {found.by}, {runs} runs of {found.source}; each recipe's law L = {found.curves.law.formula}"
    if (noise := found.curves.noise) is None:
        yield f"no intervals: {found.curves.reason}"
    else:
        widened = found.curves.scatter
        yield f"a run's sd is {noise.sd.min():.3g} to {noise.sd.max():.3g} nats ({noise.source})" + (
            f"; means lie {widened:.3g} times as far from the laws as that explains" if widened is not None else ""
        )
    for own in found.against:
        yield from _beside(own, found.reference, full=len(found.against) <= FEW)
    if found.target is None:
        yield "no ranking: no two recipes share a budget"
        return
    yield f"pairs of recipes ranked as at {shown(found.target)}:"
    for rank in _some(found.rankings):
        yield (
            f"  {shown(rank.at)} ({rank.share:.3g} of its compute): {rank.accuracy.value:.0%}{_ends(rank.accuracy, '.0%')} of "
            f"{rank.pairs}; {rank.kept} shown to keep their order, {rank.switched} to switch it"
        )
    if found.rankings and (repeat := found.rankings[-1].repeat).value is not None:
        yield f"a second run of the largest would rank {repeat.value:.0%}{_ends(repeat, '.0%')} of them alike, by noise alone"


def _some(all_of: tuple[T, ...]) -> tuple[T, ...]:
    """As many as are read in a terminal, the first and last among them; --json has all."""
    import numpy as np

    places = np.unique(np.linspace(0, len(all_of) - 1, min(LINES, len(all_of))).round().astype(int))
    return tuple(all_of[i] for i in places)


def _beside(own: AgainstReference, reference: str, *, full: bool) -> Iterator[str]:
    from analysis.tables.budgets import shown

    yield f"{own.name} reaches the loss of {reference} at {_said(own.overall)} of its compute (mean over budgets): {own.order}"
    for part in _some(own.fractions) if full else own.fractions[-2:]:
        never = f", never in {part.never:.1%} of the draws" if part.never else ""
        yield (
            f"  {shown(part.at)} (loss {part.loss:.4f}): {_said(part.fraction)}{never}{f'   {part.extrapolated}' if part.extrapolated else ''}"
        )
    yield f"  largest budget over smallest: {_said(own.change)} times the fraction"
    if own.crossing is not None:
        yield f"  the laws cross at C {_said(own.crossing)}{f', {own.crossing_beyond}' if own.crossing_beyond else ''}"


def _said(estimate: Estimate | Crossing) -> str:
    return ("never" if estimate.value is None else f"{estimate.value:.3g}") + _ends(estimate, ".3g")


def _ends(estimate: Estimate | Crossing, form: str) -> str:
    if estimate.low is None and estimate.high is None:
        return " (no interval)"
    low, high = ("…" if end is None else format(end, form) for end in (estimate.low, estimate.high))
    return f" [{low}, {high}]"
