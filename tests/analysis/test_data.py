from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis import data, simulated_sweep
from analysis.simulated_sweep import Truth
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


def test_seeds_of_a_configuration_share_its_key_and_windows_of_dense_runs_dont_matter(swept) -> None:
    rows = [
        r
        for r in simulated_sweep.simulate(Truth())
        if r["size"] == "25k" and r["sparsity"] == 0 and "seeds" in r["studies"]
    ]
    rows[1]["start"], rows[1]["end"] = 0.5, 1.0
    assert len(set(swept(rows).runs.configurations)) == 1
    rows[1]["lr"] *= 2
    assert len(set(swept(rows).runs.configurations)) == 2


def test_a_curve_comes_by_step_with_unknown_values_as_nan(swept) -> None:
    tables = swept()
    step, held_out = tables.curve(tables.runs["run_id"][0], "step", "loss_eval")
    assert np.all(np.diff(step) > 0)
    assert np.isfinite(held_out[-1])
    assert np.isnan(held_out[:-1]).all()


def test_only_the_runs_table_has_to_be_there(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    with pytest.raises(UserError, match=r"runs\.parquet"):
        data.load(folder)
    schemas.write(folder, "runs.parquet", "runs", simulated_sweep.simulate(Truth())[:3])
    tables = data.load(folder)
    assert (len(tables.runs), tables.curves.num_rows, dict(tables.sweep)) == (3, 0, {})
