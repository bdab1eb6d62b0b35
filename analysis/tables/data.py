"""The tables of a results folder as one frozen object, with the selections that the analysis is made of.

Runs are selected by their studies and their columns, never by their labels. A row that can't be used,
or is odd, is flagged with a reason that the report shows; nothing is dropped in silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.tables import sweep_json
from analysis.tables.rows import Rows
from repro import schemas, studies, tables
from repro.errors import UserError
from repro.store.folder import Folder
from repro.studies import StudyName

Mask = NDArray[np.bool_]

PAPER_START, PAPER_END = 0.25, 0.75  # the schedule the paper declares best, as shares of effective compute

PAPER_LR_SCHEDULE = "cosine"

BASE_STUDIES: tuple[StudyName, ...] = (  # those whose dense runs are of the base recipe
    studies.LAW, studies.DENSE, studies.PAIRS, studies.ISO_AVERAGE, studies.SEEDS, studies.MIRROR, studies.GROWTH,
)  # fmt: skip

# Columns that no row may lack.
WHOLE = (
    "run_id", "recipe", "studies", "family", "size", "budget", "seed", "sparsity", "N_prunable", "N_total", "vocab", "shape",
)  # fmt: skip


@dataclass(frozen=True)
class Runs(Rows):
    """Rows of the runs table, and their selections.

    Beside the table's own columns: N and S, what the sparse law calls the final count and the sparsity. Rows of one `recipe` are one
    configuration and differ in their seed alone.
    """

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Runs:
        columns: dict[str, NDArray[Any]] = {}
        for field in table.schema:
            values = table.column(field.name).to_pylist()
            if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
                columns[field.name] = np.array([np.nan if v is None else v for v in values], dtype=float)
            else:
                column = np.empty(len(values), dtype=object)
                column[:] = [tuple(v) if isinstance(v, list) else v for v in values]
                columns[field.name] = column
        return cls(columns | {"N": columns["N_final"], "S": columns["sparsity"]})

    def serves(self, *names: StudyName) -> Mask:
        """Which rows serve at least one of the studies of these names."""
        return np.array([bool(set(names) & set(own)) for own in self["studies"]], dtype=bool)

    @property
    def losses_by_seed(self) -> dict[str, dict[int, float]]:
        """Losses in nats per token, by recipe and seed."""
        losses: dict[str, dict[int, float]] = defaultdict(dict)
        for recipe, seed, loss in zip(self["recipe"], self["seed"], self["loss"], strict=True):
            losses[recipe][int(seed)] = float(loss)
        return losses

    @property
    def at_paper_schedule(self) -> Mask:
        """Sparse rows that prune from 25% to 75% of compute, and not those of the mirror image."""
        near = np.isclose(self["start"], PAPER_START, atol=1e-6) & np.isclose(self["end"], PAPER_END, atol=1e-6)
        return self.sparse & near & (self["shape"] == "geometric") & (self["mirror"] != True)  # noqa: E712 (an array)

    @property
    def sparse(self) -> Mask:
        return self["sparsity"] > 0

    @property
    def started(self) -> Mask:
        """Rows that went on from the weights of another run."""
        return np.array([parent is not None for parent in self["parent"]], dtype=bool)

    @property
    def life(self) -> dict[str, NDArray[np.float64]]:
        """N_avg and D over the whole life of the weights, where another run was its beginning; else the run's own."""
        return {name: np.where(self.started, self[f"{name}_life"], self[name]) for name in ("N_avg", "D")}

    @property
    def first_seed(self) -> Mask:
        return self["seed"] == 0


@dataclass(frozen=True)
class Flag:
    """Something odd about a run. `excluded`: no fit, claim or figure uses it."""

    run_id: str
    reason: str
    excluded: bool


@dataclass(frozen=True)
class Tables:
    """What a sweep left behind.

    Attributes:
        name: of the results folder.
        all_runs: every row. runs: those that no flag excludes.
        curves, layers: Arrow tables of the schemas in repro.schemas; so evaluations and tasks, mostly empty.
        sweep: how the sweep was made; any key may be missing.
        flags: odd rows, with reasons.
    """

    name: str
    all_runs: Runs
    runs: Runs
    curves: pa.Table
    layers: pa.Table
    evaluations: pa.Table
    tasks: pa.Table
    sweep: Mapping[str, Any]
    flags: tuple[Flag, ...]

    @property
    def departures(self) -> tuple[str, ...]:
        """In what the sweep isn't the paper's experiment, whatever its size, as it was declared and trained."""
        found = []
        # Tables of schema version 2 do not have the column.
        follow = {*(self.sweep.get("lr_schedules") or ()), *self.all_runs["lr_schedule"]} - {None}
        other = sorted(follow - {PAPER_LR_SCHEDULE})
        if other:
            found.append(f"learning rates follow {', '.join(other)}; the paper's cosine goes over each run's own steps")
        if self.sweep.get("share_prefix") or any(parent is not None for parent in self.all_runs["forked_from"]):
            found.append("runs continue from others instead of training their own first steps (share_prefix)")
        return tuple(found)

    # ---------------------------------------------------------------- selections

    def selected(self, choose: Callable[[Runs], Mask]) -> Runs:
        return self.runs.where(choose(self.runs))

    @property
    def law_set(self) -> Runs:
        """The runs the law is fitted on: every sparsity, size and budget at one schedule, first seed."""
        return self.selected(lambda r: r.serves(studies.LAW) & r.first_seed)

    @property
    def dense(self) -> Runs:
        """Every dense run of the base recipe: law set, further tokens-to-parameters ratios, partners, other seeds.

        Without the small models that growth begins with, whose learning rate never decays.
        """
        begun = set(self.runs["parent"])
        return self.selected(
            lambda r: (
                r.serves(*BASE_STUDIES)
                & ~r.sparse
                & ~r.started
                & ~(r.serves(studies.GROWTH) & np.isin(r["run_id"].astype(str), [str(run_id) for run_id in begun]))
            )
        )

    @property
    def sparse_at_paper_schedule(self) -> Runs:
        return self.selected(lambda r: r.serves(studies.LAW, studies.SCHEDULES) & r.at_paper_schedule & r.first_seed)

    @property
    def grid(self) -> Runs:
        """The schedule grid, first seed."""
        return self.selected(lambda r: r.serves(studies.SCHEDULES) & r.sparse & r.first_seed)

    def curve(self, run_id: str, *columns: str) -> list[NDArray[np.float64]]:
        """Columns of one run's curve, by step; null is nan."""
        rows = self.curves.filter(pc.equal(self.curves["run_id"], run_id)).sort_by("step")
        return [np.array(rows.column(c).cast(pa.float64()).to_numpy(zero_copy_only=False)) for c in columns]


def _has(study: StudyName) -> Callable[[Tables], bool]:
    return lambda tables: bool(tables.runs.serves(study).any())


# Whether a sweep has the study.
has_mirror, has_growth = _has(studies.MIRROR), _has(studies.GROWTH)
has_post_training, has_own_rates = _has(studies.POST_TRAINING), _has(studies.OWN_RATES)


def load(folder: Folder) -> Tables:
    """Reads a sweep's results folder.

    Raises:
        UserError: the runs table is missing, unreadable or of another schema version, a run is without what tells it
            from others, or sweep.json says what can't be.
    """
    table = tables.read(folder, "runs.parquet", "runs")
    for name in WHOLE:
        if table[name].null_count:
            row = table[name].is_null().to_pylist().index(True) + 1
            raise UserError(
                "a cell is missing", file=f"{folder}/runs.parquet", key=name, found=f"null in row {row}",
                expected="what every run has",
            )  # fmt: skip
    runs = Runs.from_arrow(table)
    parts: tuple[schemas.Table, ...] = ("curves", "layers", "evaluations", "tasks")
    other = {
        name: tables.read(folder, f"{name}.parquet", name)
        if folder.exists(f"{name}.parquet")
        else schemas.SCHEMAS[name].empty_table()
        for name in parts
    }
    sweep = sweep_json.read(folder)
    flags = tuple(_flags(runs))
    excluded = {flag.run_id for flag in flags if flag.excluded}
    usable = np.array([run_id not in excluded for run_id in runs["run_id"]], dtype=bool)
    return Tables(folder.name, runs, runs.where(usable), **other, sweep=sweep, flags=flags)


def _flags(runs: Runs) -> Iterator[Flag]:
    seen: set[str] = set()
    for row in runs.rows():
        run_id = row["run_id"]
        if run_id in seen:
            yield Flag(run_id, "this id occurs more than once in the table", excluded=True)
        seen.add(run_id)
        if not np.isfinite(row["loss"]) or row["loss"] <= 0:
            yield Flag(run_id, f"its held-out loss is {row['loss']}", excluded=True)
        elif row["loss"] >= np.log(row["vocab"]):
            yield Flag(run_id, f"its held-out loss of {row['loss']:.3f} is no better than guessing", excluded=False)
        if row["epochs"] > 1:
            yield Flag(run_id, f"it saw its text {row['epochs']:.2f} times", excluded=False)
