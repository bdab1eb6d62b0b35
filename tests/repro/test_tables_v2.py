"""Tables of schema version 2 are still read, and joined with those of today."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repro import columns, schemas, tables
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from tests.repro.rows import trained

Make = Callable[..., RunSpec]
TEXTS, WHOLE, REAL = pa.list_(pa.string()), pa.int64(), pa.float64()
# As version 2 wrote it: columns by type.
SCHEMA = {
    pa.string(): "run_id fingerprint sweep family size budget init precision corpus corpus_hash shape score distribution "
    "structure forked_from device",
    TEXTS: "studies do_not_prune",
    WHOLE: "seed d_model layers heads mlp vocab sequence N_total N_prunable N_final start_step end_step total_steps "
    "dense_steps interval events D dense_tokens batch_tokens peak_memory workers zero_stage micro_batch forked_step",
    REAL: "N_avg density_avg sparsity start end epochs effective_flops executed_flops lr weight_decay lr_wd_sum loss "
    "loss_se loss_train seconds seconds_setup tokens_per_second mfu",
    pa.list_(REAL): "loss_blocks",
}
TYPES = {name: kind for kind, names in SCHEMA.items() for name in names.split()}


def old_row(spec: RunSpec, **facts: object) -> dict[str, Any]:
    """A row as version 2 had it: with a window in a dense run, too."""
    row = columns.row(trained(spec))
    if not spec.pruning.sparsity:
        row |= {"start": 0.25, "end": 0.75, "start_step": 0, "end_step": 0, "interval": 1}
    return {name: row[name] for name in TYPES} | facts


def write_old(file: Path, rows: list[dict[str, Any]], types: dict[str, pa.DataType] = TYPES) -> None:
    schema = pa.schema(list(types.items()), {"schema_version": "2"})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([{name: row[name] for name in types} for row in rows], schema=schema), file)


def test_an_older_table_is_read_in_the_columns_of_today(make_spec: Make, tmp_path: Path) -> None:
    specs = [make_spec(0), make_spec(0, seed=1), make_spec(0.8), make_spec(0.8, seed=1), make_spec(0.8, lr=1e-3)]
    rows = [old_row(spec) for spec in specs]
    rows[1] |= {"start": 0.5, "interval": 7}  # which means nothing in a dense run
    write_old(tmp_path / "runs.parquet", rows)
    found = tables.read(Folder.open(tmp_path), "runs.parquet", "runs")
    assert found.schema.equals(schemas.RUNS)
    today = found.to_pylist()
    window = ("start", "end", "start_step", "end_step", "interval")
    assert [[row[name] for name in window] for row in today[:2]] == [[None] * 5] * 2
    recipes = [row["recipe"] for row in today]
    assert recipes[0] == recipes[1] != recipes[2] == recipes[3] != recipes[4]
    assert {(row["batch"], row["warmup"], row["lr_schedule"]) for row in today} == {(4, None, None)}
    same = set(TYPES) - set(window)
    assert [{n: r[n] for n in same} for r in today] == [{n: r[n] for n in same} for r in rows]


def test_other_columns_under_the_older_version_are_refused(make_spec: Make, tmp_path: Path) -> None:
    row = old_row(make_spec()) | {"recipe": "x"}
    for types, key in (
        ({n: t for n, t in TYPES.items() if n != "loss"}, "loss"),
        (TYPES | {"recipe": pa.string()}, "recipe"),
    ):
        write_old(tmp_path / "runs.parquet", [row], types)
        with pytest.raises(UserError, match="not the columns of runs") as error:
            tables.read(Folder.open(tmp_path), "runs.parquet", "runs")
        assert error.value.key == key


def test_parts_of_both_versions_are_joined_and_seeds_of_one_recipe_stay_together(
    make_spec: Make, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    for seed in (0, 1):
        spec = make_spec(seed=seed, run_id=f"seed{seed}")
        place = Folder.open(runs / spec.run_id)
        RunFolder(place).declare(spec, "0" * 16)
        tables.write(place, "run.parquet", "runs", [columns.row(trained(spec))])
        for name, table in (("curve.parquet", "curves"), ("layers.parquet", "layers")):
            tables.write(place, name, table, [])  # type: ignore[arg-type]
    write_old(runs / "seed0" / "run.parquet", [old_row(make_spec(run_id="seed0"))])
    tables.collect(Folder.open(tmp_path), "sweep", {"seed0": ["law"], "seed1": ["seeds"]})
    rows = tables.read(Folder.open(tmp_path), "runs.parquet", "runs").to_pylist()
    assert [row["run_id"] for row in rows] == ["seed0", "seed1"]
    differ = {name for name in rows[0] if rows[0][name] != rows[1][name]}
    assert differ == {"run_id", "fingerprint", "seed", "studies"}
