"""The best rate and batch of each budget and their power laws, on tables whose laws are known."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.rate_laws import rate_powers, rate_surface
from analysis.rate_laws.rate_powers import RatePower
from analysis.rate_laws.rate_surface import RateSurfaces
from analysis.tables.budgets import Budgets
from tests.analysis.points import csv

SIZES, RATIOS = (1e6, 4e6, 1.6e7), (10.0, 40.0, 160.0)
RATES, BATCHES = [2.0**-i for i in range(3, 12)], [2.0**i for i in range(13, 22)]
LR = {"N": -0.4, "D": -0.2}
BATCH = {"N": 0.1, "D": 0.4}
REGIME_LR = Path(__file__).parents[3] / "docs" / "evidence" / "regime-lr"


def best(n: float, d: float) -> tuple[float, float]:
    return 0.02 * (n / 4e6) ** LR["N"] * (d / 1.6e8) ** LR["D"], 2.0**17 * (n / 4e6) ** BATCH["N"] * (
        d / 1.6e8
    ) ** BATCH["D"]


def runs(
    rng: np.random.Generator, noise: float = 0.004, seeds: int = 1, batches: bool = True, rates: list[float] = RATES
) -> list[dict]:
    """Bowls around the best rate and batch, tilted, as large batches want larger rates."""
    rows = []
    for n, ratio in itertools.product(SIZES, RATIOS):
        d = n * ratio
        lr, batch = best(n, d)
        level = 2 + 400 / n**0.35 + 500 / d**0.35
        for one, other in itertools.product(rates, BATCHES if batches else [batch]):
            x, y = np.log(one / lr), np.log(other / batch)
            loss = level + 0.05 * x**2 + 0.03 * y**2 - 0.03 * x * y
            rows += [
                {"lr": one, "batch": other, "N": n, "D": d, "loss": float(loss + noise * rng.standard_normal())}
                for _ in range(seeds)
            ]
    return rows if batches else [{k: v for k, v in row.items() if k != "batch"} for row in rows]


def solved(rows: list[dict], resamples: int = 400) -> tuple[RateSurfaces, dict[str, RatePower]]:
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    axes = {name: columns[name] for name in ("lr", "batch") if name in columns}
    found = rate_surface.find(
        axes, columns["loss"], Budgets.of({k: columns[k] for k in ("N", "D")}), sigma=None, resamples=resamples, rng=np.random.default_rng(0)
    )  # fmt: skip
    return found, {axis: rate_powers.law(found, axis) for axis in axes}


def held(tables: int, seeds: int, batches: bool) -> dict[str, float]:
    """How often intervals hold the truth: of the cells, and of each exponent."""
    hits: dict[str, list[bool]] = {}
    for seed in range(tables):
        found, laws = solved(runs(np.random.default_rng(seed), seeds=seeds, batches=batches))
        for cell in found.cells:
            point = found.budgets.at(cell.budget)
            for axis, true in zip(("lr", "batch"), best(point["N"], point["D"]), strict=True):
                if axis in cell.optimum and (ends := cell.optimum[axis].interval) is not None:
                    hits.setdefault(f"best {axis}", []).append(ends[0] <= true <= ends[1])
        for axis, law in laws.items():
            _, ends, _ = law.at({"N": 1.6e8, "D": 6.4e9, "C": 6 * 1.6e8 * 6.4e9})
            assert ends is not None
            hits.setdefault(f"{axis} beyond", []).append(ends[0] <= best(1.6e8, 6.4e9)[axis == "batch"] <= ends[1])
            for term, (_, ends) in law.exponents().items():
                assert ends is not None
                true = (LR if axis == "lr" else BATCH)[term]
                hits.setdefault(f"{axis} {term}", []).append(ends[0] <= true <= ends[1])
    return {name: float(np.mean(own)) for name, own in hits.items()}


def test_intervals_hold_the_best_and_the_exponents() -> None:
    rates = held(6, 1, batches=True)
    assert {"best lr", "best batch", "lr N", "lr D", "batch N", "batch D", "batch beyond"} < set(rates)
    assert rates["best lr"] > 0.85
    assert rates["best batch"] > 0.85
    assert min(rates.values()) >= 0.6


@pytest.mark.full
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("batches", [True, False])
def test_intervals_hold_the_truth_in_95_percent_of_400_tables(seeds: int, batches: bool) -> None:
    rates = held(400, seeds, batches)
    assert all(0.91 < rate < 0.99 for rate in rates.values()), rates


def test_without_noise_the_bottom_is_found_and_far_settings_take_no_part() -> None:
    rows = runs(np.random.default_rng(0), noise=1e-5)
    found, laws = solved(rows)
    for cell in found.cells:
        point = found.budgets.at(cell.budget)
        for axis, true in zip(("lr", "batch"), best(point["N"], point["D"]), strict=True):
            assert cell.optimum[axis].value == pytest.approx(true, rel=1e-3)
        assert cell.used < cell.settings == len(RATES) * len(BATCHES)
    assert laws["lr"].exponents()["N"][0] == pytest.approx(LR["N"], abs=1e-3)
    assert laws["batch"].exponents()["D"][0] == pytest.approx(BATCH["D"], abs=1e-3)


def test_a_best_at_an_edge_is_flagged_and_stays_out_of_the_law() -> None:
    found, laws = solved(runs(np.random.default_rng(0), batches=False, rates=[rate for rate in RATES if rate <= 0.02]))
    cells = {cell.budget: cell.optimum["lr"] for cell in found.cells}
    at_edge = [b for b, own in cells.items() if own.edge]
    assert 0 < len(at_edge) < 9
    for budget in at_edge:
        assert (cells[budget].edge, cells[budget].interval) == ("largest", None)
        assert cells[budget].value == pytest.approx(2.0**-6)
    assert len(laws["lr"].left_out) >= len(at_edge)
    assert laws["lr"].used == 9 - len(laws["lr"].left_out)


def test_a_batch_that_is_best_at_a_rate_at_an_edge_is_said_to_be() -> None:
    laws = solved(runs(np.random.default_rng(0), rates=[rate for rate in RATES if rate <= 0.02]))[1]
    assert laws["batch"].used == 9
    assert set(laws["batch"].beside) == set(laws["lr"].left_out) != set()
    assert laws["lr"].beside == ()


def test_a_ladder_has_a_law_of_compute() -> None:
    rows = [row for row in runs(np.random.default_rng(0), batches=False) if row["D"] == 40 * row["N"]]
    law = solved(rows)[1]["lr"]
    assert law.terms == ("C",)
    value, ends = law.exponents()["C"]
    assert ends is not None
    assert ends[0] < (LR["N"] + LR["D"]) / 2 < ends[1]
    assert value == pytest.approx(-0.3, abs=0.05)


def test_bottoms_within_a_box_are_the_least_of_a_fine_grid() -> None:
    rng, box = np.random.default_rng(0), np.array([[-1.0, 2.0], [-0.5, 1.0]])
    solution = rng.standard_normal((200, 6))
    places, values = rate_surface.bottoms(solution, box)
    x, y = (axis.ravel() for axis in np.meshgrid(*(np.linspace(float(ends[0]), float(ends[1]), 201) for ends in box)))
    grid = solution @ np.array([np.ones(len(x)), x, y, x**2, y**2, x * y])
    assert (places >= box[:, 0]).all()
    assert (places <= box[:, 1]).all()
    assert (values <= grid.min(axis=1) + 1e-9).all()
    np.testing.assert_allclose(values, grid.min(axis=1), atol=1e-3)


def test_too_few_settings_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for row in runs(np.random.default_rng(0), batches=False) if row["lr"] > 0.05]
    found, laws = solved(rows)
    assert {cell.reason for cell in found.cells} == {"lr takes 2 values, a quadratic needs 3"}
    assert laws["lr"].reason == "no budget has a quadratic in lr"


def test_the_command_prints_one_object_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = csv(tmp_path, runs(np.random.default_rng(1)))
    words = ["rates", table, "--bootstrap", "200", "--target", "N=1.6e8,D=6.4e9", "--out", str(tmp_path)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["cells"]) == 9
    for axis, true in zip(("lr", "batch"), best(1.6e8, 6.4e9), strict=True):
        said = found["at"][0][axis]
        assert said["interval"][0] < true < said["interval"][1]
        assert "extrapolated 25 times beyond the largest budget" in said["extrapolated"]
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert main(words) == 0
    assert "lr* = c · N^a · D^b: N to the -0." in capsys.readouterr().out


def test_each_group_has_its_own_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row | {"optimizer": name} for name in ("adam", "muon") for row in runs(np.random.default_rng(1))]
    for row in rows:
        row["lr"] *= 5 if row["optimizer"] == "muon" else 1
    table = csv(tmp_path, [*rows, rows[0] | {"optimizer": "sgd"}])
    words = ["rates", table, "--bootstrap", "200", "--by", "optimizer", "--target", "N=1.6e8,D=6.4e9"]
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [(one["by"], one["group"]) for one in found] == [("optimizer", "adam"), ("optimizer", "muon")]
    adam, muon = (one["at"][0]["lr"]["value"] for one in found)
    assert muon == pytest.approx(5 * adam)
    assert "optimizer sgd is left out: too few runs of every budget: one setting alone was tried" in said.err
    assert main(words) == 0
    assert "\noptimizer muon:\n  9 budgets" in capsys.readouterr().out
    assert main([*words, "--out", str(tmp_path)]) == 2


def test_what_cant_be_asked_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = runs(np.random.default_rng(0), batches=False)
    table = csv(tmp_path, rows)
    for words, told in (
        (["--target", "N=1e9"], "not a budget of this table"),
        (["--target", "N=1e9,D=many"], "not a positive number"),
        (["--columns", "lr=rate"], "no such column"),
        (["--columns", "batch=tokens"], "no such column"),
    ):
        assert main(["rates", table, *words]) == 2
        assert told in capsys.readouterr().err
    assert main(["rates", csv(tmp_path, [{k: v for k, v in row.items() if k != "lr"} for row in rows])]) == 2
    assert "no learning rate" in capsys.readouterr().err
    assert main(["rates", csv(tmp_path, [row for row in rows if row["lr"] > 0.05])]) == 2
    assert "lr takes 2 values, a quadratic needs 3, at N 1e+06 D 1e+07" in capsys.readouterr().err
    assert main(["rates", csv(tmp_path, [row | {"lr": -row["lr"]} for row in rows])]) == 2
    assert "not a positive number" in capsys.readouterr().err


def test_on_our_own_study_it_agrees_with_the_law_of_its_rates(capsys: pytest.CaptureFixture[str]) -> None:
    """lr* = c N^-.86 (D/N)^-.35 in dense and sparse runs, as the README has it."""
    assert main(["rates", str(REGIME_LR), "--columns", "N=N_prunable", "--exclude", "sparsity>0", "--json"]) == 0
    law = json.loads(capsys.readouterr().out)["laws"]["lr"]["exponents"]
    assert law["N"]["interval"][0] < -0.86 + 0.35 < law["N"]["interval"][1]
    assert law["D"]["interval"][0] < -0.35 < law["D"]["interval"][1]
