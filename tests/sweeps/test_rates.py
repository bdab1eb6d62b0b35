"""Learning rates that go with size, tokens and density."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.spec import RunSpec
from sweeps.grid import expand
from tests.sweeps.small import write

RATES = "{tokens_per_param: 10, tokens: -0.5, params: -1, density: -0.25}"
PAIRS = "pairs: {size: 13k, budgets: [10tpp, 20tpp], sparsities: [0.8]}"


@pytest.fixture
def sweep_file(tmp_path: Path) -> Callable[..., Path]:
    return partial(write, tmp_path, partners="{mlp_multiple: 1, tolerance: 0.02}")


def of(file: Path, study: str) -> dict[str, RunSpec]:
    return {run.run_id: run for run in expand(file).of(study)}


def test_a_rate_goes_with_tokens_and_density_and_a_partners_with_its_size(sweep_file: Callable[..., Path]) -> None:
    runs = of(sweep_file(studies=PAIRS, rates=RATES), "pairs")
    for budget, share in (("10tpp", 1.0), ("20tpp", 0.5**0.5)):
        [sparse] = [run for run in runs.values() if run.budget == budget and run.pruning.sparsity]
        [partner] = [run for run in runs.values() if run.budget == budget and run.size == "13k-p80"]
        assert sparse.optimizer.lr == pytest.approx(0.01 * share * 0.2**-0.25, rel=0.005)
        smaller = partner.model.shape.prunable / sparse.model.shape.prunable
        ratio = partner.tokens / partner.model.shape.prunable
        assert partner.optimizer.lr == pytest.approx(0.01 * (ratio / 10) ** -0.5 / smaller, rel=0.01)
        assert "-lr" not in sparse.run_id + partner.run_id  # the usual rate of each


def test_a_rate_that_is_declared_for_a_partner_stays_as_it_is(sweep_file: Callable[..., Path]) -> None:
    partners = "{mlp_multiple: 1, tolerance: 0.02, lr: {13k-p80: 0.03}}"
    runs = of(sweep_file(studies=PAIRS, rates=RATES, partners=partners), "pairs")
    assert {run.optimizer.lr for run in runs.values() if run.size == "13k-p80"} == {0.03}


def test_without_exponents_every_run_of_a_size_has_its_rate(sweep_file: Callable[..., Path]) -> None:
    plain = of(sweep_file(studies=PAIRS), "pairs")
    declared = of(sweep_file(studies=PAIRS, rates="{tokens_per_param: 99}"), "pairs")
    assert plain == declared
    assert {run.optimizer.lr for run in plain.values()} == {0.01}


def test_studies_that_vary_the_rate_do_so_around_each_runs_own(sweep_file: Callable[..., Path]) -> None:
    studies = """
    lr: {multiples: [0.5, 1], sizes: [4k], budgets: [20tpp], cells: [{sizes: [13k], budgets: [10tpp], seeds: [3]}]}
    robustness: {size: 4k, budget: 20tpp, sparsities: [0], lr_multiples: [1, 4], batch_multiples: [1]}"""
    file = sweep_file(studies=studies, rates=RATES)
    at_20 = float(f"{0.01 * 0.5**0.5:.3g}")
    found = {(run.size, run.seed, run.optimizer.lr) for run in of(file, "lr").values()}
    assert found == {("4k", 0, at_20 / 2), ("4k", 0, at_20), ("13k", 3, 0.005), ("13k", 3, 0.01)}
    assert {run.optimizer.lr for run in of(file, "robustness").values()} == {at_20, 4 * at_20}


def test_an_unknown_exponent_is_an_error(sweep_file: Callable[..., Path]) -> None:
    with pytest.raises(UserError) as caught:
        expand(sweep_file(studies=PAIRS, rates="{depth: 1}"))
    assert caught.value.key == "rates.depth"
