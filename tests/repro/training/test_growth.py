"""Growth between two runs: what a child begins with, how it trains, and that a kill changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from repro.corpus import Corpus
from repro.models.export import export
from repro.models.folder import start_from
from repro.models.names import LINEARS, prefix
from repro.resources import Resources, Stage
from repro.spec import RunSpec, SurgerySpec
from repro.store.folder import Folder
from repro.surgery import grow
from repro.surgery.net import net_of_run
from repro.training import record
from tests.repro.training.children import CONSTANT, assert_a_kill_changes_nothing, child, trained
from tests.repro.training.lives import rows

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("method", "factor", "zero_stage"),
    [
        ("grow-inner-noise", 2, 1),
        pytest.param("grow-depth-zero", 2, 0, marks=pytest.mark.full),
        pytest.param("grow-inner-noise", 2, 3, marks=pytest.mark.full),
        pytest.param("grow-depth-stack", 1, 1, marks=pytest.mark.full),
        pytest.param("grow-width", 2, 1, marks=pytest.mark.full),
        pytest.param("grow-width-noise", 2, 2, marks=pytest.mark.full),
        pytest.param("grow-depth-stack", 2, 1, marks=pytest.mark.full),
    ],
)
def test_a_child_begins_with_the_larger_model_and_trains_all_of_it(
    method: str,
    factor: int,
    zero_stage: Stage,
    dense: RunSpec,
    parent: Callable[[RunSpec], Path],
    text: Corpus,
    tmp_path: Path,
) -> None:
    spec = child(dense, SurgerySpec(method, factor=factor))
    resources = Resources(device="cpu", zero_stage=zero_stage)
    run = trained(spec, tmp_path / "child", text, parent(dense), resources)
    [row], [before] = rows(run, "run.parquet"), rows(Folder.open(parent(dense)), "run.parquet")
    said = run.read_json(record.SURGERY)
    assert (said["params_before"], said["params_after"]) == (before["N_total"], row["N_total"])
    assert said["growth_all"] == row["N_total"] / row["N_total_before"]
    assert row["N_final"] == row["N_prunable"] == said["linear_after"], "zeros of new blocks are not removed"
    assert row["L_before"] == pytest.approx(before["loss"], rel=1e-6)
    if factor == 1 or method == "grow-depth-zero":
        assert row["L_parent"] == before["loss"], "to the bit, scaled queries included"
    elif method == "grow-depth-stack":
        assert row["L_parent"] > row["L_before"]
    else:
        assert row["L_parent"] == pytest.approx(before["loss"], rel=1e-6)
    assert row["N_avg_life"] == pytest.approx(
        (before["N_prunable"] * before["D"] + row["N_prunable"] * row["D"]) / (before["D"] + row["D"])
    )
    ended = net_of_run(run).weights
    begun = grow.grow(net_of_run(Folder.open(parent(dense))), method, factor).net.weights
    still = [name for name, weight in begun.items() if torch.equal(weight, ended[name])]
    assert still == [], "everything learns"


@pytest.mark.full  # of one step: tests/repro/surgery/test_grow.py
def test_equal_copies_stay_equal_while_a_run_trains_and_unequal_ones_part(
    dense: RunSpec, parent: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    apart = {}
    for method in ("grow-width", "grow-width-noise"):
        run = trained(child(dense, SurgerySpec(method, factor=2)), tmp_path / method, text, parent(dense))
        one, other = net_of_run(run).weights[f"{prefix(1)}{LINEARS['gate_proj']}.weight"].chunk(2)
        apart[method] = float((one - other).norm() / one.norm())
    assert apart["grow-width"] < 1e-4
    assert apart["grow-width-noise"] > 100 * apart["grow-width"]
    assert apart["grow-width-noise"] > 1e-3


@pytest.mark.parametrize("method", ["grow-width-noise", pytest.param("grow-depth-zero", marks=pytest.mark.full)])
def test_killed_in_growth_and_in_training_a_child_ends_as_one_that_was_not(
    method: str, dense: RunSpec, parent: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    assert_a_kill_changes_nothing(child(dense, SurgerySpec(method, factor=2)), grow, parent(dense), text, tmp_path)


@pytest.mark.full
def test_a_model_folder_grows_as_the_run_does(
    dense: RunSpec, parent: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    surgery = SurgerySpec("grow-width-noise", factor=2)
    export(Folder.open(parent(dense)), tmp_path / "model", text)
    own = replace(dense, run_id="child", optimizer=CONSTANT, dense_steps=4)
    spec = own.starting_at(start_from(str(tmp_path / "model")), surgery)
    ended = [
        rows(trained(one, tmp_path / name, text, parent(dense)), "run.parquet")[0]
        for name, one in (("folder", spec), ("run", own.starting_from(dense, 20, surgery)))
    ]
    for name in ("L_before", "L_parent", "N_total", "N_total_before", "surgery_factor"):
        assert ended[0][name] == pytest.approx(ended[1][name], rel=1e-6), name
