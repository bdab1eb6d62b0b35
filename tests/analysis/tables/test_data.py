from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.tables import data
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro import tables as schemas
from repro.errors import UserError
from repro.store.folder import Folder


def test_a_whole_sweep_holds_the_papers_runs(swept) -> None:
    tables = swept()
    assert len(tables.grid) == 80
    assert len(tables.law_set) == 30
    assert len(tables.sparse_at_paper_schedule) == 24
    assert not tables.dense.sparse.any()


def test_a_run_that_serves_two_studies_is_one_row_in_both(swept) -> None:
    tables = swept()
    shared = set(tables.grid["run_id"]) & set(tables.law_set["run_id"])
    assert len(shared) == 8


def test_odd_rows_are_flagged_with_a_reason_and_only_useless_ones_left_out(swept) -> None:
    rows = simulated_sweep.simulate(Truth())
    rows[0]["loss"], rows[1]["loss"], rows[2]["epochs"], rows[3]["loss"] = float("nan"), -1.0, 1.5, 7.0
    tables = swept(rows)
    flags = {f.run_id: f for f in tables.flags}
    assert [flags[rows[i]["run_id"]].excluded for i in range(4)] == [True, True, False, False]
    assert "1.50 times" in flags[rows[2]["run_id"]].reason
    assert "no better than guessing" in flags[rows[3]["run_id"]].reason
    assert len(tables.all_runs) == len(rows)
    assert len(tables.runs) == len(rows) - 2


def test_rows_of_one_id_are_left_out_together(swept) -> None:
    rows = simulated_sweep.simulate(Truth())
    tables = swept([*rows, rows[0]])
    assert rows[0]["run_id"] not in set(tables.runs["run_id"])
    assert "more than once" in next(f for f in tables.flags if f.excluded).reason


def test_runs_that_differ_in_their_seed_alone_share_a_recipe(swept) -> None:
    runs = swept().runs
    dense = runs.where((runs["size"] == "25k") & (runs["budget"] == "10t") & ~runs.sparse)
    seeds, others = dense.where(dense.serves("seeds", "law")), dense.where(dense.serves("robustness"))
    assert len(seeds) == 3
    assert len(set(seeds["recipe"])) == 1
    assert len(set(others["recipe"])) == len(others) == 5
    assert set(seeds["recipe"]) < set(others["recipe"])


def test_learning_rates_that_are_not_the_papers_are_told_by_their_column(swept) -> None:
    rows = simulated_sweep.simulate(Truth())[:3]
    assert swept(rows).departures == ()
    rows[1]["lr_schedule"] = "wsd"
    assert "learning rates follow wsd" in swept(rows).departures[0]


def test_a_curve_comes_by_step_with_unknown_values_as_nan(swept) -> None:
    tables = swept()
    step, held_out = tables.curve(tables.runs["run_id"][0], "step", "loss_eval")
    assert np.all(np.diff(step) > 0)
    assert np.isfinite(held_out[-1])
    assert np.isnan(held_out[:-1]).all()


@pytest.mark.slow
def test_only_the_runs_table_has_to_be_there(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    with pytest.raises(UserError, match=r"runs\.parquet"):
        data.load(folder)
    schemas.write(folder, "runs.parquet", "runs", simulated_sweep.simulate(Truth())[:3])
    tables = data.load(folder)
    assert (len(tables.runs), tables.curves.num_rows, dict(tables.sweep)) == (3, 0, {})
