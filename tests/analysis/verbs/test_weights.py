"""fit and compare --weights: what a row weighs is the same in every part of a fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import analysis
from analysis.__main__ import main
from analysis.fits.fit import fit
from analysis.fits.objective import Kind, Objective, scaled, worth
from analysis.laws.registry import CHINCHILLA
from repro.errors import UserError
from tests.analysis.points import TRUTH, csv, drawn, grid

Out = pytest.CaptureFixture[str]
TIMES = np.random.default_rng(1).integers(1, 5, 20).astype(float)


def rows(noise: float = 0.004) -> list[dict[str, Any]]:
    """Twenty runs, each with how often it counts."""
    return [row | {"times": int(k)} for row, k in zip(drawn(*grid(), noise=noise), TIMES, strict=True)]


def said(capsys: Out, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("kind", ["huber_log", "huber", "lad", "wls"])
def test_whole_numbers_are_rows_that_stand_there_so_often(kind: Kind) -> None:
    """The fitted losses to nine digits, the objective to twelve; parameters to the seven at which the solver stops."""
    size, data = grid()
    loss = np.array([row["loss"] for row in rows()])
    columns, at = {"N": size, "D": data}, np.repeat(np.arange(20), TIMES.astype(int))
    once = fit(CHINCHILLA, columns, loss, Objective(kind), weights=scaled(TIMES), start=TRUTH)
    often = fit(CHINCHILLA, {"N": size[at], "D": data[at]}, loss[at], Objective(kind), start=TRUTH)
    assert once.parameters == pytest.approx(often.parameters, rel=1e-6)
    assert once.predict(columns) == pytest.approx(often.predict(columns), rel=1e-9)
    assert once.objective / 20 == pytest.approx(often.objective / TIMES.sum(), rel=1e-12)
    alike = fit(CHINCHILLA, columns, loss, Objective(kind), start=TRUTH)
    assert alike.parameters["alpha"] != pytest.approx(often.parameters["alpha"], rel=1e-3)


@pytest.mark.parametrize("objective", ["huber_log", "huber", "lad", "wls"])
def test_and_so_they_are_for_the_command(objective: Kind, tmp_path: Path, capsys: Out) -> None:
    words = ["--law", "chinchilla", "--objective", objective, "--holdout", "largest:N"]
    once = said(capsys, "fit", csv(tmp_path, rows()), *words, "--weights", "times")
    repeated = [row for row in rows() for _ in range(row["times"])]
    often = said(capsys, "fit", csv(tmp_path, repeated, "often.csv"), *words)
    assert once["n_rows"] == 20
    assert often["n_rows"] == TIMES.sum()
    assert once["parameters"] == pytest.approx(often["parameters"], rel=1e-6)
    assert once["objective"] / 20 == pytest.approx(often["objective"] / TIMES.sum(), rel=1e-9)
    for key in ("mean_abs_error", "mean_relative_error"):
        assert once[key] == pytest.approx(often[key], rel=1e-6)
    for key in ("mean_abs_error", "mean_relative_error", "best_seen"):
        assert once["held_out"][key] == pytest.approx(often["held_out"][key], rel=1e-4)
    # n log of the mean square, less what parameters cost
    assert (once["information"]["aic"] - 12) / 20 == pytest.approx((often["information"]["aic"] - 12) / TIMES.sum())


def test_a_comparison_weighs_fits_errors_and_draws(tmp_path: Path, capsys: Out) -> None:
    words = ["--law", "chinchilla", "--law", "over_training", "--holdout", "share:0.3:N", "--objective", "wls"]
    file, repeated = csv(tmp_path, rows()), [row for row in rows() for _ in range(row["times"])]
    once = said(capsys, "compare", file, *words, "--weights", "times", "--bootstrap", "200")
    often = said(capsys, "compare", csv(tmp_path, repeated, "often.csv"), *words)
    assert once["weights"] == {"column": "times", "worth_rows": pytest.approx(worth(TIMES))}
    for one, other in zip(once["laws"], often["laws"], strict=True):
        for key in ("in_sample", "held_out", "relative"):
            assert one[key] == pytest.approx(other[key], rel=1e-6)
        assert one["interval"][0] < one["held_out"] < one["interval"][1]
    alike = said(capsys, "compare", file, *words, "--bootstrap", "200")
    assert alike["laws"][0]["interval"] != once["laws"][0]["interval"]


def test_ratios_alone_count(tmp_path: Path, capsys: Out) -> None:
    other = [row | {"times": row["times"] * 1024} for row in rows()]
    words = ["--law", "chinchilla", "--weights", "times", "--bootstrap", "100"]
    found = [
        said(capsys, "fit", csv(tmp_path, own, f"{i}.csv"), *words) | {"source": ""}
        for i, own in enumerate((rows(), other))
    ]
    assert found[0] == found[1]


def test_rows_of_next_to_no_weight_move_no_interval(tmp_path: Path, capsys: Out) -> None:
    """Half of the rows lie .3 nats off; weighed 1e-9, they count in no part of what is said."""
    size, data = grid(10)
    good = [row | {"w": 1.0} for row in drawn(size, data, noise=0.004)]
    bad = [row | {"loss": row["loss"] + 0.3, "w": 1e-9} for row in drawn(size * 1.1, data, noise=0.004)]
    words = ["--law", "chinchilla", "--bootstrap", "400", "--holdout", "share:0.3:N"]
    clean = said(capsys, "fit", csv(tmp_path, good), *words)
    both = said(capsys, "fit", csv(tmp_path, [*good, *bad], "both.csv"), *words, "--weights", "w")
    assert both["weights"]["worth_rows"] == pytest.approx(40)
    assert both["parameters"] == pytest.approx(clean["parameters"], rel=1e-5)
    assert both["held_out"]["mean_abs_error"] == pytest.approx(clean["held_out"]["mean_abs_error"], rel=0.2)
    for name, true in zip(clean["parameters"], TRUTH, strict=True):
        assert both["profile"][name] == pytest.approx(clean["profile"][name], rel=1e-3)
        low, high = both["intervals"][name]
        assert low < true < high


def test_a_saved_fit_predicts_what_the_library_says(tmp_path: Path, capsys: Out) -> None:
    words = ["--law", "chinchilla", "--weights", "times", "--bootstrap", "200"]
    file, saved = csv(tmp_path, rows()), tmp_path / "FIT.json"
    saved.write_text(json.dumps(said(capsys, "fit", file, *words)))
    fit = analysis.fit(analysis.read(file, weights="times"), "chinchilla", bootstrap=200)
    point, told = fit.predict(N=7e9, D=1e12), said(capsys, "predict", str(saved), "N=7e9", "D=1e12")
    assert (point.value, [point.low, point.high]) == (told["loss"], told["interval"])
    alike = analysis.fit(file, "chinchilla", bootstrap=200).predict(N=7e9, D=1e12)
    assert (alike.low, alike.high) != (point.low, point.high)
    assert "weights by times" in repr(fit)


def test_groups_are_weighed_by_themselves(tmp_path: Path, capsys: Out) -> None:
    both = [row | {"kind": kind, "times": row["times"] * k} for kind, k in (("a", 1), ("b", 1024)) for row in rows()]
    words = ["--law", "chinchilla", "--weights", "times"]
    found = said(capsys, "fit", csv(tmp_path, both), *words, "--by", "kind")
    alone = said(capsys, "fit", csv(tmp_path, rows(), "alone.csv"), *words)
    assert [one["objective"] for one in found] == pytest.approx([alone["objective"]] * 2, rel=1e-9)  # type: ignore[index]


@pytest.mark.parametrize("cell", ["0", "-1", "many", "", "inf", "nan"])
def test_what_is_no_weight_is_an_error(cell: str, tmp_path: Path, capsys: Out) -> None:
    own: list[dict[str, Any]] = rows()
    own[3]["times"] = cell
    words = ["fit", csv(tmp_path, own), "--law", "chinchilla", "--weights", "times"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "--weights times" in told
    assert "in row 4" in told
    assert main([*words, "--exclude", "row=4"]) == 0
    assert main([*words[:-1], "time"]) == 2
    assert "no such column" in capsys.readouterr().err


@pytest.mark.parametrize(
    "call",
    [
        lambda file: analysis.read(file, weights="time"),
        lambda file: analysis.isoflop(analysis.read(file, weights="times")),
    ],
)
def test_a_table_in_python_is_weighed_or_refused(call: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(UserError) as found:
        call(csv(tmp_path, rows()))
    assert found.value.key == "weights"
