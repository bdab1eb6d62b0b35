"""Error rates of the claims' rules, in worlds whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import claims
from analysis.__main__ import main
from analysis.claims.verdict import Rates
from analysis.findings import setting_lines
from analysis.findings.evidence import Evidence
from analysis.findings.pairs import find_pairs
from analysis.laws.law import Array, Law
from analysis.laws.registry import N_AVG, N_FINAL
from analysis.noise.seed_noise import SeedNoise
from analysis.power import simulation
from analysis.tables import data
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from analysis.worlds.world import World, with_losses
from repro.store.folder import Folder
from tests.analysis.maps import simulate_map

pytestmark = pytest.mark.slow

QUIET = SeedNoise.normal(0.0005)


@pytest.fixture(scope="module")
def tables(results: Path) -> Tables:
    return data.load(Folder.open(results))


@pytest.fixture(scope="module")
def theta(tables: Tables) -> Array:
    found = simulation.truth(tables)
    assert found is not None
    return found


def test_with_little_noise_every_rule_knows_a_true_claim_from_a_false_law(tables: Tables, theta: Array) -> None:
    found = simulation.simulate(tables, theta, QUIET, worlds=1)
    assert {name: claim.true.reproduced for name, claim in found.claims.items()} == {c.CLAIM: 1 for c in claims.CLAIMS}
    assert {name: claim.true.not_reproduced for name, claim in found.claims.items()} == dict.fromkeys(found.claims, 0)
    for name in ("b", "c", "f"):
        assert found.laws[N_FINAL.name][name].not_reproduced == 1
        assert found.laws[N_AVG.name][name].reproduced == 1
    assert found.claims["b"].false.reproduced == 0


@pytest.mark.full
def test_the_rates_dont_depend_on_the_number_of_processes(tables: Tables, theta: Array) -> None:
    noise = SeedNoise.normal(0.01)
    alone, together, other = (
        simulation.simulate(tables, theta, noise, worlds=6, resamples=100, seed=seed, cores=cores)
        for seed, cores in ((0, 1), (0, 2), (5, 1))
    )
    assert alone == together
    assert alone != other


@pytest.mark.full
def test_fewer_resamples_leave_the_rates_where_they_are(tables: Tables, theta: Array) -> None:
    noise = SeedNoise.normal(0.006)
    many = simulation.simulate(tables, theta, noise, worlds=30, resamples=1000)
    usual = simulation.simulate(tables, theta, noise, worlds=30)
    for name, claim in usual.claims.items():
        for side in ("true", "false"):
            own, other = getattr(claim, side), getattr(many.claims[name], side)
            assert abs(own.reproduced - other.reproduced) <= 2, (name, side)
            assert abs(own.not_reproduced - other.not_reproduced) <= 2, (name, side)


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: claim.CLAIM)
def test_what_makes_a_claim_true_and_false_are_two_worlds(claim, tables: Tables, theta: Array) -> None:
    world = World.of(tables, theta, setting_lines.settings_cost(tables))
    true, false = claim.true_world(world), claim.false_world(world)
    assert true.shape == false.shape == (len(tables.runs),)
    assert np.isfinite(true).all()
    assert np.isfinite(false).all()
    assert not np.array_equal(true, false)
    assert claim.TRUE != claim.FALSE


def test_a_claims_own_worlds_move_no_run_that_its_fits_are_made_on(tables: Tables, theta: Array) -> None:
    world = World.of(tables, theta, setting_lines.settings_cost(tables))
    runs = world.tables.runs
    for claim in claims.CLAIMS:
        if claim.CLAIM == "b":
            continue  # refitted: its worlds are laws
        for mean in (claim.true_world(world), claim.false_world(world)):
            moved = runs["run_id"][~np.isclose(mean, runs["loss"], atol=1e-9)]
            assert not set(moved) & set(tables.dense["run_id"]), claim.CLAIM
            if claim.CLAIM == "g, ours":
                assert not set(moved) & set(tables.law_set["run_id"])


def test_a_pair_is_worth_nine_tenths_where_claim_c_is_false(tables: Tables, theta: Array) -> None:
    world = World.of(tables, theta, setting_lines.settings_cost(tables))
    pair = max((p for p in find_pairs(world.tables) if p.match == "prunable"), key=lambda p: p.sparsity)
    at = {run_id: i for i, run_id in enumerate(tables.runs["run_id"])}
    loss = claims.pairs.false_world(world)[at[pair.sparse["run_id"][0]]]
    tokens = float(pair.sparse["D"][0])
    assert loss == pytest.approx(world.at_size(0.9 * pair.n_avg, tokens))
    assert loss > world.at_size(pair.n_avg, tokens)


def a_map() -> list[dict[str, Any]]:
    return simulate_map(Truth(), {"8k": (15.0, 30.0, 60.0), "25k": (15.0, 30.0)})


def own_rates() -> list[dict[str, Any]]:
    rows = simulated_sweep.simulate(Truth())
    return rows + [
        {**row, **{n: f"{row[n]}-own" for n in ("run_id", "recipe")}, "lr": 2 * row["lr"], "studies": ["own_rates"]}
        for row in rows
        if row["sparsity"] and {"law", "pairs"} & set(row["studies"])
    ]


@pytest.mark.parametrize(
    ("draw", "judged"),
    [
        (a_map, ["h"]),
        pytest.param(own_rates, [f"{c}, own rates" for c in "bcf"], marks=pytest.mark.full),
    ],
    ids=["a map", "own rates"],
)
def test_worlds_of_a_map_and_of_own_rates_are_judged_too(
    draw: Callable[[], list[dict[str, Any]]], judged: list[str], swept: Callable[..., Tables]
) -> None:
    tables = swept(draw())
    theta = simulation.truth(tables)
    assert theta is not None
    found = simulation.simulate(tables, theta, QUIET, worlds=1)
    assert list(found.claims)[-len(judged) :] == judged
    for claim in judged:
        assert found.claims[claim].true.reproduced == 1, claim
        assert found.claims[claim].false.reproduced == 0, claim
        assert found.laws[N_FINAL.name][claim].not_reproduced == 1, claim


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: claim.CLAIM)
def test_a_sweep_without_a_claims_runs_has_worlds_all_the_same(claim, tables: Tables, theta: Array) -> None:
    dense = replace(tables, runs=tables.runs.where(~tables.runs.sparse))
    world = World.of(dense, theta, np.zeros(len(dense.runs)))
    for losses in (claim.true_world(world), claim.false_world(world)):
        np.testing.assert_array_equal(losses, world.losses())
    assert claim.repeated(dense) == set()


def test_rates_are_shares_with_binomial_intervals() -> None:
    said: list[claims.Outcome] = ["reproduced"] * 8
    rates = Rates.of([*said, "inconclusive", "inconclusive"])
    assert (rates.worlds, rates.reproduced, rates.not_reproduced) == (10, 8, 0)
    assert rates.interval(8) == pytest.approx((0.444, 0.975), abs=1e-3)  # Clopper and Pearson's
    assert rates.interval(0)[0] == 0
    assert rates.said(8) == "80% [44%, 97%]"


def test_the_command_keeps_its_rates_beside_the_tables_until_they_change(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = results / "power.json"
    assert main(["power", str(results), "--worlds", "1", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["claims"]["b"]["true"] == {"worlds": 1, "reproduced": 1, "not_reproduced": 0}
    written = json.loads(kept.read_text())
    written["noise"] = "as it was kept"
    kept.write_text(json.dumps(written))
    assert main(["power", str(results), "--worlds", "1"]) == 0
    assert "as it was kept" in capsys.readouterr().out
    kept.write_text(json.dumps(written | {"key": "of other tables"}))
    assert main(["power", str(results), "--worlds", "1"]) == 0
    assert "as it was kept" not in capsys.readouterr().out
    kept.unlink()


def test_a_sweep_without_repeated_runs_says_why_there_are_no_worlds(
    quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["power", str(quick)]) == 0
    assert "no worlds to draw: the seeds' noise isn't known" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "named"),
    [(["--worlds", "0"], "--worlds"), (["--sigma", "0.01", "--like", "x"], "--like")],
)
def test_what_cant_be_drawn_is_refused(
    options: list[str], named: str, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["power", str(quick), *options]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("law", "worlds"),
    [(N_AVG, 1), pytest.param(N_AVG, 3, marks=pytest.mark.full), pytest.param(N_FINAL, 3, marks=pytest.mark.full)],
    ids=["one world", "N_avg", "N_final"],
)
def test_fits_that_start_at_the_truth_give_the_verdicts_of_those_from_a_grid(
    law: Law, worlds: int, tables: Tables, theta: Array
) -> None:
    world = World.of(tables, theta, setting_lines.settings_cost(tables))
    rng = np.random.default_rng(3)
    for _ in range(worlds):
        drawn = with_losses(tables, world.losses(law) + rng.normal(0, 0.01, len(tables.runs)))
        warm, cold = (Evidence(drawn, 200, laws=(N_AVG,), start=start) for start in (theta, None))
        for claim in (claims.law, claims.pairs, claims.final_size, claims.grid):
            assert claim.rule(warm) == claim.rule(cold), claim.CLAIM
        assert warm.comparison.law_fits["N_avg"].objective == pytest.approx(
            cold.comparison.law_fits["N_avg"].objective, rel=1e-6
        )
