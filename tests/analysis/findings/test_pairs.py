from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.findings.evidence import Evidence
from analysis.findings.matched import Matched, difference_noise, mean_error
from analysis.findings.pairs import find_pairs
from analysis.noise.spread import Spread
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow


def test_each_sparse_run_finds_both_its_partners_at_every_seed(evidence: Evidence) -> None:
    pairs = find_pairs(evidence.tables)
    assert [(p.match, p.sparsity, p.seeds) for p in pairs] == [
        (m, s, 3) for m in ("prunable", "total") for s in (0.2, 0.4, 0.6, 0.8)
    ]
    for pair in pairs:
        assert list(pair.sparse["seed"]) == list(pair.partner["seed"])
        assert list(pair.sparse["D"]) == list(pair.partner["D"])


def test_partners_are_found_by_columns_not_by_labels(swept) -> None:
    rows = simulated_sweep.simulate(Truth())
    for row in rows:
        if "-p" in row["size"] or "-t" in row["size"]:
            row["size"] = "nameless"
    assert len(find_pairs(swept(rows))) == 8


def test_one_dense_run_may_match_in_both_counts(swept) -> None:
    rows = [row for row in simulated_sweep.simulate(Truth()) if row["size"] != "25k-t20"]
    [sparse] = [r for r in rows if r["sparsity"] == 0.2 and "pairs" in r["studies"] and r["seed"] == 0]
    for row in rows:
        if row["size"] == "25k-p20":
            row["N_prunable"] = round(sparse["N_avg"])
            row["N_total"] = row["N_prunable"] + sparse["N_total"] - sparse["N_prunable"]
    assert [p.match for p in find_pairs(swept(rows)) if p.sparsity == 0.2] == ["prunable", "total"]


def test_a_partner_of_the_sparse_runs_own_width_is_nearer_in_the_total_and_still_matches_in_prunable_weights(
    swept,
) -> None:
    rows = [row for row in simulated_sweep.simulate(Truth()) if row["size"] != "25k-t40"]
    [sparse] = [r for r in rows if r["sparsity"] == 0.4 and "pairs" in r["studies"] and r["seed"] == 0]
    for row in rows:
        if row["size"] == "25k-p40":
            row["N_prunable"] = round(1.006 * sparse["N_avg"])
            row["N_total"] = row["N_prunable"] + sparse["N_total"] - sparse["N_prunable"]
    assert "prunable" in [p.match for p in find_pairs(swept(rows)) if p.sparsity == 0.4]


@pytest.mark.parametrize("column", ["total_steps", "batch_tokens", "budget", "seed"])
def test_a_dense_run_that_differs_in_data_is_no_partner(column: str, swept) -> None:
    rows = simulated_sweep.simulate(Truth())
    for row in rows:
        if row["size"] == "25k-p80":
            row[column] = "other" if column == "budget" else row[column] + 100
    assert [(p.match, p.sparsity) for p in find_pairs(swept(rows)) if p.sparsity == 0.8] == [("total", 0.8)]


def test_a_dense_run_of_another_size_is_no_partner(swept) -> None:
    rows = [
        r | {"N_prunable": 3 * r["N_prunable"], "N_total": 3 * r["N_total"]} if r["sparsity"] == 0 else r
        for r in simulated_sweep.simulate(Truth())
    ]
    assert find_pairs(swept(rows)) == []


@pytest.mark.parametrize("share", [0.8, 1.0, 1.25])
def test_the_dense_size_of_equal_loss_comes_back(share: float, swept) -> None:
    truth = Truth(sigma=1e-6)
    rows = simulated_sweep.simulate(truth)
    for row in rows:
        if row["sparsity"]:  # a sparse run that is as good as a dense one of `share` times its N_avg
            columns = {"N_avg": np.array([share * row["N_avg"]]), "D": np.array([float(row["D"])])}
            row["loss"] = float(truth.law.predict(np.array(truth.theta), columns)[0])
    results = [r for r in Evidence(swept(rows), resamples=100).pairs if r.pair.match == "prunable"]
    assert len(results) == 4
    for result in results:
        assert result.ratio is not None
        assert result.ratio.value == pytest.approx(share, rel=2e-3)


def test_a_partner_matched_on_all_parameters_is_compared_in_nats_alone(evidence: Evidence) -> None:
    results = [r for r in evidence.pairs if r.pair.match == "total"]
    assert all(r.ratio is None and r.difference.low is not None for r in results)


def test_a_partner_that_matches_in_both_counts_is_one_difference(evidence: Evidence) -> None:
    pairs = [r.pair for r in evidence.pairs]
    once = [p for p in pairs if p.match == "prunable"]
    twice = [*once, *(replace(p, match="total") for p in once)]
    assert difference_noise(twice, evidence.noise) == difference_noise(once, evidence.noise)


def test_differences_to_one_partner_are_pooled_as_runs_so_that_its_noise_counts_once(evidence: Evidence) -> None:
    """The t that each difference is judged by exceeds its 95% quantile in 5% of draws, however many share the partner."""
    runs = evidence.tables.runs
    recipes = ["partner", "a", "b", "c", "d"]
    at = np.zeros(15, dtype=int)
    fields = {"recipe": np.repeat(recipes, 3).astype(object), "seed": np.tile([0.0, 1.0, 2.0], 5)}
    fields["run_id"] = np.array(
        [f"{r}-{s:.0f}" for r, s in zip(fields["recipe"], fields["seed"], strict=True)], dtype=object
    )
    rng, beyond, off = np.random.default_rng(0), [], []
    for _ in range(400):
        loss = 3 + 0.01 * rng.standard_normal(15) + 0.05 * np.tile(rng.standard_normal(3), 5)
        drawn = replace(runs.where(at), columns={**runs.where(at).columns, **fields, "loss": loss})
        sides = [drawn.where(drawn["recipe"] == name) for name in recipes]
        pairs = [Matched(own, sides[0]) for own in sides[1:]]
        spread = difference_noise(pairs, evidence.noise)
        assert spread is not None
        assert spread.dof == 8
        beyond += [abs(p.difference) * np.sqrt(3) / spread.sd > spread.quantile(0.025) for p in pairs]
        off.append(np.mean([p.difference for p in pairs]) / mean_error(pairs, spread))
    assert 0.03 < np.mean(beyond) < 0.075
    # Four differences that share one partner are off together: their mean by .79 of one of them, not by half.
    assert np.std(off) == pytest.approx(np.sqrt(8 / 6), rel=0.15)
    unit = Spread.from_squares(8.0, 8, 5)
    assert mean_error(pairs, unit) / mean_error(pairs[:1], unit) == pytest.approx(np.sqrt(5 / 8))
