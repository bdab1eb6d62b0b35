"""The verbs fit, compare and predict, as a user calls them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.fits import holdout
from analysis.fits.fit import fit
from analysis.fits.objective import Objective
from analysis.fits.optimal import compute_optimal, mean_density, plan_for
from analysis.fits.profiles import profile
from analysis.fits.resample import bootstrap
from analysis.laws.registry import CHINCHILLA, LAWS, N_AVG
from analysis.tables import table
from repro.errors import UserError
from tests.analysis.points import csv

TRUTH = np.array([1.8, 480.0, 0.35, 2100.0, 0.37])


def points(noise: float = 0.003, seed: int = 0, count: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = np.exp(rng.uniform(np.log(1e7), np.log(1e10), count))
    columns = {"N": n, "D": n * np.exp(rng.uniform(np.log(5), np.log(200), count))}
    return columns | {"loss": CHINCHILLA.predict(TRUTH, columns) * np.exp(rng.normal(0, noise, count))}


@pytest.fixture
def file(tmp_path: Path) -> str:
    drawn = points()
    return csv(tmp_path, [dict(zip(drawn, row, strict=True)) for row in zip(*drawn.values(), strict=True)])


def said(capsys: pytest.CaptureFixture, *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_fit_prints_one_object_with_what_is_promised(file: str, capsys: pytest.CaptureFixture) -> None:
    found = said(capsys, "fit", file, "--law", "chinchilla", "--bootstrap", "200")
    assert {"law", "parameters", "objective", "status", "n_rows", "starts_agreeing", "intervals"} <= set(found)
    assert (found["law"], found["status"], found["n_rows"]) == ("chinchilla", "converged", 60)
    for name, value in zip(CHINCHILLA.names, TRUTH, strict=True):
        low, high = found["intervals"][name]
        assert low < value < high
        assert found["profile"][name][0] < found["parameters"][name] < found["profile"][name][1]


def test_a_saved_fit_predicts_with_its_band(file: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    saved = tmp_path / "FIT.json"
    saved.write_text(json.dumps(said(capsys, "fit", file, "--law", "chinchilla", "--bootstrap", "200")))
    found = said(capsys, "predict", str(saved), "N=1e9", "D=2e10")
    true = float(CHINCHILLA.predict(TRUTH, {"N": np.array([1e9]), "D": np.array([2e10])})[0])
    assert found["interval"][0] < true < found["interval"][1]
    best = said(capsys, "predict", str(saved), "C=1e21")
    assert 6 * best["N"] * best["D"] == pytest.approx(1e21)
    ends, true_a = best["intervals"], TRUTH[4] / (TRUTH[2] + TRUTH[4])
    assert ends["a_N"][0] < true_a < ends["a_N"][1]
    assert ends["a_D"] == pytest.approx([1 - ends["a_N"][1], 1 - ends["a_N"][0]])
    fitted = json.loads(saved.read_text())["parameters"]
    assert best["a_N"] == pytest.approx(fitted["beta"] / (fitted["alpha"] + fitted["beta"]), rel=1e-5)
    for name in ("N", "D", "loss", "tokens_per_param", "a_N", "a_D"):
        assert ends[name][0] < best[name] < ends[name][1]
    assert main(["predict", str(saved), "C=1e21"]) == 0
    assert f"95% [{ends['N'][0]:.6g}, {ends['N'][1]:.6g}]" in capsys.readouterr().out
    assert main(["predict", str(saved), "N=1e9"]) == 2
    assert main(["predict", str(saved), "N=many", "D=1"]) == 2
    (tmp_path / "other.json").write_text("{}")
    assert main(["predict", str(tmp_path / "other.json"), "C=1e21"]) == 2


def test_compare_says_which_law_predicts_better(file: str, capsys: pytest.CaptureFixture) -> None:
    words = ["--law", "chinchilla", "--law", "over_training", "--holdout", "share:0.2:N", "--bootstrap", "200"]
    found = said(capsys, "compare", file, *words)
    first, second = found["laws"]
    assert (first["outcome"], len(found["rows"])) == (None, 12)
    assert second["outcome"] in ("better", "worse", "can't be told apart")
    assert main(["compare", file, *words]) == 0
    assert "chinchilla is" in capsys.readouterr().out


def test_relative_errors_stand_beside_the_best_loss_seen(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    drawn = points()
    edge = np.quantile(drawn["N"], 0.8)
    held, fitted = drawn["loss"][drawn["N"] >= edge], drawn["loss"][drawn["N"] < edge]
    rule = ("--holdout", "share:0.2:N")
    compared = said(capsys, "compare", file, "--law", "chinchilla", "--law", "over_training", *rule)
    assert compared["best_seen"] == pytest.approx(np.mean(np.abs(fitted.min() / held - 1)))
    first = compared["laws"][0]
    assert first["relative"] == pytest.approx(
        np.mean(np.abs(first["residuals"]) / drawn["loss"][np.array(compared["rows"], dtype=int) - 1])
    )
    assert first["relative"] < 0.01 < compared["best_seen"]
    saved = said(capsys, "fit", file, "--law", "chinchilla", *rule)
    assert saved["held_out"]["mean_relative_error"] == pytest.approx(first["relative"])
    assert saved["held_out"]["best_seen"] == pytest.approx(compared["best_seen"])
    assert 0.001 < saved["mean_relative_error"] < 0.005
    (tmp_path / "FIT.json").write_text(json.dumps(saved))
    found = said(capsys, "predict", str(tmp_path / "FIT.json"), "N=1e11", "D=2e12")
    assert found["best_seen"] == pytest.approx(drawn["loss"].min())
    assert found["over_best_seen"] == pytest.approx(found["loss"] / drawn["loss"].min() - 1)
    assert main(["compare", file, "--law", "chinchilla", "--law", "over_training", *rule]) == 0
    assert f"{compared['best_seen']:.2%}" in capsys.readouterr().out


def test_every_objective_finds_the_law(file: str) -> None:
    rows = table.read(file, [CHINCHILLA])
    for kind in ("huber_log", "huber", "lad", "wls"):
        result = fit(CHINCHILLA, rows.columns, rows.loss, Objective(kind))
        assert result.status == "converged"
        assert np.abs(result.predict(rows.columns) / CHINCHILLA.predict(TRUTH, rows.columns) - 1).max() < 0.01


def test_least_absolute_deviations_pass_through_as_many_points_as_parameters(file: str) -> None:
    rows = table.read(file, [CHINCHILLA])
    result = fit(CHINCHILLA, rows.columns, rows.loss, Objective("lad"))
    assert np.sum(np.abs(np.log(result.predict(rows.columns)) - np.log(rows.loss)) < 1e-9) >= 5


def test_a_least_squares_profile_agrees_with_the_bootstrap(file: str) -> None:
    rows = table.read(file, [CHINCHILLA])
    result = fit(CHINCHILLA, rows.columns, rows.loss, Objective("wls"))
    drawn = bootstrap(result, rows.columns, rows.loss, resamples=2000, rng=np.random.default_rng(0)).interval()
    profiled = profile(result, rows.columns, rows.loss).intervals
    for name in ("E", "alpha", "beta"):
        ours, theirs = profiled[name], drawn[name]
        assert ours is not None
        assert theirs is not None
        assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], rel=0.4)


def test_few_clusters_need_the_seeds_noise(file: str) -> None:
    rows = table.read(file, [CHINCHILLA])
    result, labels = fit(CHINCHILLA, rows.columns, rows.loss), np.arange(60) % 4
    few = partial(
        bootstrap, result, rows.columns, rows.loss, resamples=100, rng=np.random.default_rng(0), clusters=labels
    )
    with pytest.raises(UserError, match="too few clusters"):
        few()
    assert few(sigma=0.01).method == "parametric"


@pytest.mark.parametrize("rule", ["smallest:N", "largest:S", "largest:X", "each:clusters"])
def test_a_holdout_that_cant_be_is_refused(rule: str, file: str) -> None:
    with pytest.raises(UserError):
        holdout.split(table.read(file, [CHINCHILLA]), rule)


def test_the_compute_optimum_is_the_closed_form(file: str) -> None:
    rows = table.read(file, [CHINCHILLA])
    result = fit(CHINCHILLA, rows.columns, rows.loss)
    p, flops = result.parameters, 1e22
    ratio = p["alpha"] * p["A"] / (p["beta"] * p["B"])
    n = (ratio * (flops / 6) ** p["beta"]) ** (1 / (p["alpha"] + p["beta"]))
    assert pytest.approx(n, rel=1e-4) == compute_optimal(result, flops).N


@pytest.mark.parametrize(("sparsity", "mean"), [(0.0, 1), (0.2, 0.8928), (0.4, 0.7661), (0.6, 0.6099), (0.8, 0.3996)])
def test_mean_densities_are_the_papers(sparsity: float, mean: float) -> None:
    assert mean_density(sparsity) == pytest.approx(mean, abs=1e-3)


def test_the_cheapest_run_beats_its_neighbours_and_ends_at_the_loss() -> None:
    columns = points()
    rows = {"N_avg": columns["N"], "D": columns["D"]}
    result = fit(N_AVG, rows, columns["loss"])
    best = plan_for(result, 2.6, n_final=2e8)
    assert float(result.predict({"N_avg": np.array([best.N_avg]), "D": np.array([best.D])})[0]) == pytest.approx(2.6)
    for sparsity in (0.0, best.sparsity - 0.05, min(0.95, best.sparsity + 0.05)):
        assert plan_for(result, 2.6, n_final=2e8, sparsity=sparsity).training_flops >= best.training_flops
    served = plan_for(result, 2.6, inference_tokens=1e13)
    assert served.N_final < plan_for(result, 2.6, inference_tokens=1e6).N_final
    with pytest.raises(UserError, match="no run reaches"):
        plan_for(result, result.parameters["E"] * 0.99, n_final=2e8)
    with pytest.raises(UserError, match="N_avg"):
        plan_for(fit(LAWS["chinchilla"], columns, columns["loss"]), 2.6, n_final=2e8)
