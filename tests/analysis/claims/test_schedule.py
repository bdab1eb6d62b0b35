from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis.claims import Verdict, regret, schedule
from analysis.findings.evidence import Evidence
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from analysis.worlds.world import with_losses

pytestmark = pytest.mark.slow

# A law that no count and no number of tokens moves: what remains is the noise and what a schedule costs.
TIED = Truth(theta=(4.0, 1e-6, 0.35, 1e-6, 0.4), sigma=5e-4)
Make = Callable[..., Tables]


def worst_at_80(sparsity: float, start: float, end: float) -> float:
    return 0.05 if (sparsity, start, end) == (0.8, 0.25, 0.75) else 0.0


def verdict(tables: Tables) -> Verdict:
    return schedule.judge(Evidence(tables))


@pytest.mark.parametrize("fresh_seeds", [pytest.param(0, marks=pytest.mark.full), 2])
def test_tied_schedules_reproduce_the_claim(fresh_seeds: int, swept: Make) -> None:
    found = verdict(swept(truth=TIED, fresh_grid_seeds=fresh_seeds))
    assert found.verdict == "reproduced"
    assert found.interval is not None
    assert found.interval[1] < regret.MARGIN
    assert len(found.details[0].rows) == 8
    assert {row["measured on"] for row in found.details[0].rows} == {"fresh seeds" if fresh_seeds else "seed 0"}


@pytest.mark.parametrize("fresh_seeds", [0, pytest.param(2, marks=pytest.mark.full)])
def test_one_bad_cell_refutes_it(fresh_seeds: int, swept: Make) -> None:
    found = verdict(swept(truth=replace(TIED, penalty=worst_at_80), fresh_grid_seeds=fresh_seeds))
    assert found.verdict == "not reproduced"
    assert found.measured == pytest.approx(0.05, abs=0.003)
    assert {row["sparsity"] for row in found.details[0].rows if row["verdict"] == "not reproduced"} == {0.8}


@pytest.mark.parametrize("penalty", [simulated_sweep.no_penalty, worst_at_80])
def test_noise_makes_it_inconclusive_either_way(penalty: simulated_sweep.Penalty, swept: Make) -> None:
    assert verdict(swept(truth=replace(TIED, penalty=penalty, sigma=0.05))).verdict == "inconclusive"


def test_a_lucky_rival_is_forgiven_on_fresh_seeds(swept: Make) -> None:
    rows = simulated_sweep.simulate(TIED, fresh_grid_seeds=2)
    for row in rows:
        if (row["seed"], row["start"], row["end"], row["sparsity"]) == (0, 0.5, 0.75, 0.8):
            row["loss"] -= 0.05
    cells = {(c.sparsity, c.source): c for c in regret.judge_cells(Evidence(swept(rows)))[0]}
    lucky = cells[0.8, "fresh seeds"]
    assert lucky.best == "50/25/25"
    assert lucky.regret.value < 0.002


def test_rivals_without_fresh_seeds_widen_the_upper_bound_and_are_counted(swept: Make) -> None:
    rows = simulated_sweep.simulate(TIED, fresh_grid_seeds=2)
    everywhere = regret.judge_cells(Evidence(swept(rows)))[0]
    confirmed = {(0.25, 0.75), (0.0, 0.25), (0.5, 0.75), (0.75, 1.0)}
    some = [r for r in rows if r["seed"] == 0 or not r["sparsity"] or (r["start"], r["end"]) in confirmed]
    partly = regret.judge_cells(Evidence(swept(some)))[0]
    assert all(c.fresh == c.rivals for c in everywhere)
    assert any(0 < c.fresh < c.rivals for c in partly)


def test_part_of_the_grid_can_refute_but_not_reproduce(swept: Make) -> None:
    def one_budget(truth: Truth) -> list[dict]:
        return [r for r in simulated_sweep.simulate(truth) if r["budget"] == "10t"]

    assert verdict(swept(one_budget(TIED))).verdict == "inconclusive"
    assert verdict(swept(one_budget(replace(TIED, penalty=worst_at_80)))).verdict == "not reproduced"


def test_one_seed_gives_a_regret_without_an_interval(swept: Make) -> None:
    found = verdict(swept([r for r in simulated_sweep.simulate(TIED) if r["seed"] == 0]))
    assert (found.verdict, found.interval) == ("inconclusive", None)
    assert found.measured is not None


def test_a_cell_without_the_papers_schedule_is_skipped_with_a_reason(swept: Make) -> None:
    rows = [r for r in simulated_sweep.simulate(TIED) if (r["sparsity"], r["start"], r["end"]) != (0.4, 0.25, 0.75)]
    found = verdict(swept(rows))
    assert len(found.details[0].rows) == 6
    assert sum("no 25/50/25" in note for note in found.notes) == 2


def test_truly_tied_schedules_are_rarely_refuted(swept: Make) -> None:
    rng = np.random.default_rng(0)
    exact = swept(truth=replace(TIED, sigma=0.0))
    refuted = 0
    for _ in range(20):
        noisy = with_losses(exact, exact.runs["loss"] + 0.01 * rng.standard_normal(len(exact.runs)))
        refuted += verdict(noisy).verdict == "not reproduced"
    assert refuted <= 1
