"""The runs of the studies of learning rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.spec import RunSpec
from sweeps.grid import expand
from tests.sweeps.small import write

Sweeps = Callable[..., Path]
BASE = """
law: {sizes: [4k, 13k], budgets: [10tpp], sparsities: [0, 0.4, 0.8]}
pairs: {size: 13k, budgets: [20tpp], sparsities: [0.8]}
seeds: {seeds: [0], pairs: [{size: 13k, budgets: [20tpp], sparsities: [0.8], seeds: [0, 1]}]}
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Sweeps:
    return partial(write, tmp_path)


# ------------------------------------------------------------------ lr


def test_rates_of_sparse_runs_are_tried_at_windows_and_seeds(sweep_file: Sweeps) -> None:
    runs = expand(
        sweep_file(
            studies="""
            lr:
              multiples: [0.5, 1]
              sizes: [4k]
              budgets: [10tpp]
              sparsities: [0, 0.8]
              windows: [{dense: 0.25, prune: 0.5}, {dense: 0.5, prune: 0.25}]
              seeds: [0, 1]"""
        )
    ).of("lr")
    found = Counter((run.pruning.sparsity, run.pruning.start, run.seed, run.optimizer.lr) for run in runs)
    points = [(0.0, 0.25), (0.8, 0.25), (0.8, 0.5)]  # a dense run has no window
    assert found == Counter((s, start, seed, lr) for s, start in points for seed in (0, 1) for lr in (0.005, 0.01))


def test_partners_of_the_sparse_runs_are_tried_around_their_own_rates(sweep_file: Sweeps) -> None:
    runs = expand(
        sweep_file(
            partners="{mlp_multiple: 1, tolerance: 0.02, lr: {13k-p80: 0.03}}",
            studies="""
            lr:
              multiples: [0.5, 1]
              sizes: [13k]
              budgets: [10tpp]
              sparsities: [0, 0.4, 0.8]
              windows: [{dense: 0.25, prune: 0.5}, {dense: 0.5, prune: 0.25}]
              seeds: [0, 1]
              partners: true""",
        )
    ).of("lr")
    partners = [run for run in runs if "-p" in run.size]
    rates = {"13k-p40": 0.01, "13k-p80": 0.03, "13k-p40-d50-p25": 0.01, "13k-p80-d50-p25": 0.01}
    assert Counter((run.size, run.seed, run.optimizer.lr) for run in partners) == Counter(
        (size, seed, rate * multiple) for size, rate in rates.items() for seed in (0, 1) for multiple in (0.5, 1)
    )
    sparse = {
        (run.pruning.sparsity, run.pruning.start, run.seed): run.schedule.total_steps
        for run in runs
        if run.pruning.sparsity
    }
    assert sorted(sparse.values()) == sorted({(run.size, run.seed): run.dense_steps for run in partners}.values())


def test_points_of_the_lr_study_take_its_seeds_or_their_own(sweep_file: Sweeps) -> None:
    runs = expand(
        sweep_file(
            partners="{mlp_multiple: 1, tolerance: 0.02}",
            studies="""
            lr:
              multiples: [1]
              seeds: [3]
              points:
                - {size: 13k, budget: 10tpp, sparsity: 0.8}
                - {size: 13k, budget: 10tpp, sparsity: 0.4, seeds: [0, 5]}""",
        )
    ).of("lr")
    assert [(run.size, run.seed) for run in runs] == [("13k-p80", 3), ("13k-p40", 0), ("13k-p40", 5)]


@pytest.mark.parametrize("key", ["partners: true", "windows: [{dense: 0}]"])
def test_what_only_sparse_runs_have_is_refused_where_there_are_none(sweep_file: Sweeps, key: str) -> None:
    study = f"{{lr: {{multiples: [1], sizes: [4k], budgets: [10tpp], {key}}}}}"
    with pytest.raises(UserError, match="needs a sparse run") as error:
        expand(sweep_file(studies=study))
    assert error.value.key == f"studies.lr.{key.split(':')[0]}"
    assert (error.value.found, error.value.expected) == ("sparsities 0", "a sparsity above 0")


# ------------------------------------------------------------------ own_rates


def test_every_sparse_run_of_law_and_pairs_has_one_at_its_own_rate(sweep_file: Sweeps) -> None:
    tolerance = "{mlp_multiple: 1, tolerance: 0.02}"
    sweep = expand(sweep_file(partners=tolerance, studies=f"{BASE}own_rates: {{multiples: {{0.4: 1.5, 0.8: 2}}}}"))
    base, own = ({run.run_id: run for run in sweep.of(study)} for study in ("law", "own_rates"))
    base |= {run.run_id: run for study in ("pairs", "seeds") for run in sweep.of(study)}

    def labels(runs: list[RunSpec]) -> Counter[object]:
        return Counter((r.size, r.budget, r.pruning.sparsity, r.pruning.start, r.pruning.end, r.seed) for r in runs)

    sparse = [run for run in base.values() if run.pruning.sparsity]
    assert labels(list(own.values())) == labels(sparse)
    assert {run.optimizer.lr for run in own.values() if run.pruning.sparsity == 0.4} == {0.015}
    assert {run.optimizer.lr for run in own.values() if run.pruning.sparsity == 0.8} == {0.02}
    assert all(run.run_id.endswith(("-lr1.5e-2", "-lr2e-2")) for run in own.values())


def test_a_run_whose_multiple_is_1_is_trained_once_for_both_studies(sweep_file: Sweeps) -> None:
    def runs(studies: str) -> dict[str, tuple[str, ...]]:
        found = expand(sweep_file(partners="{mlp_multiple: 1, tolerance: 0.02}", studies=studies)).runs
        return {run.spec.run_id: run.studies for run in found}

    before, after = runs(BASE), runs(f"{BASE}own_rates: {{multiples: {{0.4: 1, 0.8: 2}}}}")
    assert after["4k-10tpp-s40-d25-p50-seed0"] == ("law", "own_rates")
    assert after["13k-20tpp-s80-d25-p50-seed1"] == ("seeds",)
    assert {run_id for run_id in after if run_id not in before} == {
        f"{run}-lr2e-2"
        for run in (
            "4k-10tpp-s80-d25-p50-seed0",
            "13k-10tpp-s80-d25-p50-seed0",
            "13k-20tpp-s80-d25-p50-seed0",
            "13k-20tpp-s80-d25-p50-seed1",
        )
    }


@pytest.mark.parametrize(
    ("multiples", "key", "found"),
    [
        ("{0.8: 2}", "multiples", "0.8"),
        ("{0.4: 1, 0.8: 2, 0.6: 1}", "multiples.0.6", "0.6"),
        ("{0.4: 1, 0.8: 0}", "multiples.0.8", "0"),
        ("{0: 1, 0.4: 1, 0.8: 2}", "multiples.0", "0"),
    ],
)
def test_multiples_for_other_sparsities_than_there_are_are_refused(
    sweep_file: Sweeps, multiples: str, key: str, found: str
) -> None:
    file = sweep_file(
        partners="{mlp_multiple: 1, tolerance: 0.02}", studies=f"{BASE}own_rates: {{multiples: {multiples}}}"
    )
    with pytest.raises(UserError) as error:
        expand(file)
    assert (str(error.value.file), error.value.key) == (str(file), f"studies.own_rates.{key}")
    assert str(error.value.found) == found
    assert error.value.expected


def test_own_rates_without_a_sparse_run_are_refused(sweep_file: Sweeps) -> None:
    studies = "{law: {sizes: [4k], budgets: [10tpp], sparsities: [0]}, own_rates: {multiples: {0.8: 1}}}"
    with pytest.raises(UserError, match="no run has this sparsity"):
        expand(sweep_file(studies=studies))
