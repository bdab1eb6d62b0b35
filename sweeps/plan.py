"""The cost of a sweep before training: tokens, epochs and FLOPs by run, by study and in total. No torch, no Ray."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

from repro import columns
from repro.columns import effective_flops, epochs, executed_flops
from repro.spec import ModelStart, RunSpec
from sweeps import corpora
from sweeps.grid import PlannedRun, Sweep, expand
from sweeps.savings import Saving, saving
from sweeps.surgery_price import SurgeryPrice, surgery_price, total


@dataclass(frozen=True)
class Price:
    """The total cost of some runs.

    epochs: the largest number of epochs of any run; null if the sweep file doesn't declare the corpus's size.
    """

    runs: int
    tokens: int
    epochs: float | None
    effective_flops: float
    executed_flops: float

    @classmethod
    def of(cls, spec: RunSpec) -> Price:
        return cls(1, spec.tokens, epochs(spec), effective_flops(spec), executed_flops(spec))

    @classmethod
    def sum(cls, prices: Sequence[Price]) -> Price:
        runs, tokens, seen, effective, executed = zip(*map(astuple, prices), strict=True)
        most = max((one for one in seen if one is not None), default=None)
        return cls(sum(runs), sum(tokens), most, sum(effective), sum(executed))


@dataclass(frozen=True)
class PlannedStart:
    """The run and step whose weights a run starts from, and the tokens and compute of its whole lineage."""

    parent: str
    step: int
    tokens: int
    effective_flops: float


@dataclass(frozen=True)
class Plan:
    """The cost of a sweep. A run that serves two studies counts in each of them, and once in `total`.

    sharing: the part of the total that is trained once for several runs; null unless the sweep shares prefixes.
    starts: the runs that start from another's weights, by run id.
    models: the folders or ids of the models that runs start from, by run id.
    surgery: what surgeries cost before the first steps; not in the prices.
    """

    sweep: str
    total: Price
    studies: dict[str, Price]
    runs: dict[str, Price]
    sharing: Saving | None = None
    starts: dict[str, PlannedStart] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    surgery: SurgeryPrice = SurgeryPrice(0, 0.0, 0.0)


def plan(sweep: Sweep) -> Plan:
    specs = sweep.specs
    runs = {spec.run_id: Price.of(spec) for spec in specs}
    return Plan(
        sweep.name,
        Price.sum([*runs.values()]),
        {study: Price.sum([runs[spec.run_id] for spec in sweep.of(study)]) for study in sweep.studies},
        runs,
        saving(specs) if sweep.share_prefix else None,
        {
            spec.run_id: PlannedStart(spec.parent.run_id, spec.parent_step, spec.life.tokens, spec.life.effective_flops)
            for spec in specs
            if spec.parent and spec.parent_step
        },
        {spec.run_id: spec.start.model for spec in specs if isinstance(spec.start, ModelStart)},
        total([surgery_price(spec) for spec in specs]),
    )


def describe(run: PlannedRun) -> dict[str, Any]:
    """A run as a flat mapping: every planned column of the runs table, and its studies."""
    return {**columns.planned(run.spec), "studies": list(run.studies), "tokens": run.spec.tokens}


def print_expand(file: str | Path, as_json: bool) -> int:
    """Prints the runs of a sweep file as a table or as one JSON object per line; returns the exit code."""
    runs = expand(file, read_models=False).runs
    if as_json:
        for run in runs:
            print(json.dumps(describe(run)))
        return 0
    rows = [("run", "N_prunable", "N_avg", "steps", "events", "tokens", "FLOPs", "studies")]
    for run in runs:
        row = describe(run)
        window = "" if row["start_step"] is None else f"{row['events']} in {row['start_step']}-{row['end_step']}"
        weights, steps = (amount(row["N_prunable"]), amount(row["N_avg"])), f"{row['total_steps']:,}"
        cost = (amount(row["tokens"]), f"{row['effective_flops']:.3g}")
        rows.append((row["run_id"], *weights, steps, window, *cost, " ".join(row["studies"])))
    print("\n".join(aligned(rows, left={0, 7})))
    print(f"{len(runs)} runs")
    return 0


def print_plan(file: str | Path, as_json: bool) -> int:
    """Prints the cost of a sweep file as a table by study or as one JSON object; returns the exit code."""
    sweep = expand(file, read_models=False)
    priced, warnings = plan(sweep), [*unread(sweep), *corpora.warnings(sweep, corpora.built(sweep))]
    if as_json:
        print(json.dumps(asdict(priced) | {"warnings": warnings}, indent=1))
    else:
        print("\n".join([*by_study(priced), *(f"warning: {text}" for text in warnings)]))
    return 0


def unread(sweep: Sweep) -> Iterator[str]:
    """Warns of the models that runs start from and this machine doesn't have."""
    starts = (spec.start for spec in sweep.specs)
    away = dict.fromkeys(s.model for s in starts if isinstance(s, ModelStart) and not s.is_read)
    if away:
        yield f"a network is needed: `sweeps run` downloads {', '.join(away)}, of which nothing was read here"


def by_study(priced: Plan) -> list[str]:
    """Lines: a table of the cost by study, and the longest run."""
    rows = [("study", "runs", "tokens", "most epochs", "effective FLOPs", "executed FLOPs")]
    for name, price in (*priced.studies.items(), ("all, shared runs once", priced.total)):
        most = "" if price.epochs is None else f"{price.epochs:.2f}"
        flops = (f"{price.effective_flops:.3g}", f"{price.executed_flops:.3g}")
        rows.append((name, str(price.runs), amount(price.tokens), most, *flops))
    longest, price = max(priced.runs.items(), key=lambda item: item[1].executed_flops)
    return [
        *aligned(rows, left={0}),
        *_starts(priced),
        *_models(priced),
        *_surgery(priced),
        *(_sharing(priced) if priced.sharing else ()),
        f"longest run: {longest}, {amount(price.tokens)} tokens, {price.executed_flops:.3g} executed FLOPs",
    ]


def _starts(priced: Plan) -> Iterator[str]:
    """Lines: the runs that start from another's weights; the table above counts only each run's own steps."""
    if not priced.starts:
        return
    yield ""
    rows = [("run", "starts from", "after step", "tokens of its lineage", "effective FLOPs")]
    for run, start in priced.starts.items():
        rows.append((run, start.parent, f"{start.step:,}", amount(start.tokens), f"{start.effective_flops:.3g}"))
    yield from aligned(rows, left={0, 1})


def _models(priced: Plan) -> Iterator[str]:
    """Lines: the models that runs start from."""
    for model in dict.fromkeys(priced.models.values()):
        runs = [run for run, of in priced.models.items() if of == model]
        said = f"{runs[0]} starts" if len(runs) == 1 else f"{runs[0]} and {len(runs) - 1} more start"
        yield f"{said} from {model}: what that was trained on before is unknown, and the text is read from its first row"


def _surgery(priced: Plan) -> Iterator[str]:
    """A line: what surgery costs beside the runs' own steps."""
    found = priced.surgery
    if found.runs:
        share = found.flops / priced.total.executed_flops
        yield (
            f"surgery on calibration text before the first step of {found.runs} runs: {found.flops:.3g} FLOPs, {share:.2%} of those executed, "
            f"not counted above; {found.seconds / 3600:.3g} h on one thread of a CPU, which hours on a cluster include"
        )


def _sharing(priced: Plan) -> Iterator[str]:
    """Lines: which run continues from which checkpoint, and what that saves; the totals above count every run in full."""
    shared = priced.sharing
    if shared is None:
        return
    if not shared.forks:
        yield f"share_prefix: nothing can be shared: {shared.because}"
        return
    yield ""
    rows = [("run", "starts from", "at step", "tokens saved", "executed FLOPs saved", "of its own")]
    for run, fork in shared.forks.items():
        cost = shared.by_run[run]
        share = cost.executed_flops / priced.runs[run].executed_flops
        spared = (amount(cost.tokens), f"{cost.executed_flops:.3g}", f"{share:.1%}")
        rows.append((run, fork.parent, f"{fork.step:,}", *spared))
    yield from aligned(rows, left={0, 1})
    alone, saved = shared.alone, shared.saved
    yield (
        f"share_prefix: sharing saves {saved.steps:,} of {alone.steps:,} steps ({saved.steps / alone.steps:.1%}): "
        f"{amount(saved.tokens)} tokens, {saved.effective_flops:.3g} effective and {saved.executed_flops:.3g} executed FLOPs; "
        f"{shared.shared.effective_flops:.3g} and {shared.shared.executed_flops:.3g} remain"
    )
    if shared.because:
        yield f"share_prefix: {shared.because}"


def aligned(rows: Iterable[Sequence[str]], left: set[int]) -> list[str]:
    """Lines of text in aligned columns: those in `left` to the left, the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def amount(count: float) -> str:
    """A count with four digits and an SI-like suffix: 12.34 M."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count:.4g}"
