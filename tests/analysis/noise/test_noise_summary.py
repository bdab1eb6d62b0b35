"""noise.json: every key is there, and what is unknown says why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.noise import noise_summary
from analysis.tables import data
from analysis.worlds import simulated_programme, simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro.store.folder import Folder

RELIED_ON = {
    "pooled_sd", "by_configuration", "dense_law_error", "E_identified", "minutes", "hardware", "commit",
}  # fmt: skip
OF_ONE = {
    "size", "budget", "sparsity", "schedule", "N_prunable", "N_avg", "tokens_per_param", "kind", "seeds", "mean", "sd",
    "low", "high", "losses", "apart",
}  # fmt: skip


def test_a_sweep_of_single_runs_with_seeds_is_summed_up_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [r for r in simulated_sweep.simulate(Truth()) if r["batch"] == simulated_programme.BATCH]
    for row in rows:
        row["studies"] = ["runs"]  # with other learning rates among them
    folder = Folder.open(tmp_path / "results")
    simulated_sweep.write(folder, rows)
    made = {"seconds": 1200.0, "hardware": {"cpu": "a CPU"}, "commit": "abc"}
    folder.write_json("sweep.json", folder.read_json("sweep.json") | made)
    assert main(["noise", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= RELIED_ON
    assert (found["minutes"], found["hardware"], found["commit"]) == (20.0, {"cpu": "a CPU"}, "abc")
    assert found["E_identified"] is True
    assert found["why_null"] == {}
    for one in found["by_configuration"]:
        assert set(one) >= OF_ONE
        assert one["sd"] == pytest.approx(np.std(one["losses"], ddof=1))
        assert one["low"] < one["sd"] < one["high"]
    squares = sum(one["sd"] ** 2 * (one["seeds"] - 1) for one in found["by_configuration"])
    assert found["pooled_sd"] == pytest.approx((squares / found["pooled_sd_dof"]) ** 0.5)
    assert {one["kind"] for one in found["by_configuration"]} == {"dense", "partner", "sparse"}


def test_a_seed_of_another_mode_is_named_with_its_configuration(results: Path) -> None:
    tables = data.load(Folder.open(results))
    odd = (tables.runs["size"] == "25k-p80") & (tables.runs["seed"] == 1)
    columns = {**tables.runs.columns, "loss": tables.runs["loss"] + 0.1 * odd}
    found = noise_summary.summarise(replace(tables, runs=replace(tables.runs, columns=columns)))
    assert found["apart"] == ["25k-p80 10t partner"]
    assert any("seed 1 ends 0.1" in line and "above" in line for line in noise_summary.lines(found))


def test_what_one_seed_cannot_tell_is_null_with_a_reason(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["noise", str(quick), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    empty = {"pooled_sd", "paired_sd", "dense_law_error", "E_identified", "minutes", "hardware", "commit"}
    assert {key for key in empty if found[key] is None} == empty
    assert all(found["why_null"][key] for key in empty)
    assert main(["noise", str(quick)]) == 0
    assert "none (no configuration was run with several seeds)" in capsys.readouterr().out
