"""Rows with a wrong loss against robust fits: neither one row nor a bound made of it may move the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.fits.fit import fit
from analysis.fits.objective import Objective
from analysis.fits.problem import Problem
from analysis.fits.resample import bootstrap
from analysis.laws.law import Law
from analysis.laws.registry import CHINCHILLA, LAWS, SPARSE
from analysis.worlds import simulated_table
from tests.analysis.epoch import EPOCH, TRUTH, points
from tests.analysis.points import csv


@pytest.mark.skipif(not EPOCH.is_file(), reason="needs ../shared/data beside the project")
def test_one_low_row_of_epochs_leaves_the_others_their_fit() -> None:
    columns, loss = points()
    assert loss is not None
    spoiled = np.where(np.arange(240) == 100, 1.2, loss)
    result = fit(CHINCHILLA, columns, spoiled)
    assert result.objective <= 0.0016782
    assert result.parameters["alpha"] == pytest.approx(0.338, abs=2e-3)
    assert (result.status, result.bounds_hit) == ("converged", ())


@pytest.mark.parametrize(
    "law",
    [CHINCHILLA, *(pytest.param(law, marks=pytest.mark.full) for law in (LAWS["over_training"], SPARSE))],
    ids=lambda law: law.name,
)
@pytest.mark.parametrize("factor", [1e-3, 0.3, 100.0])
def test_the_starts_find_the_minimum_whatever_one_row_says(law: Law, factor: float) -> None:
    columns, truth, rng = simulated_table.design(law), simulated_table.truth(law), np.random.default_rng(3)
    loss = simulated_table.losses(law, truth, columns, 0.003, rng)[0]
    loss[rng.integers(len(loss))] *= factor
    for objective in (Objective(), Objective("huber_log", 1e-2), Objective("huber", 1e-2)):
        result = fit(law, columns, loss, objective)
        near = truth * np.exp(rng.normal(0, 0.1, (40, len(truth))))
        _, values, _ = Problem(law, columns, loss[None], objective).descend(near)
        assert result.objective <= np.nanmin(values) * (1 + 1e-6), (objective, result.parameters)


def unbounded_floor(tmp_path: Path) -> str:
    """Losses that fall like a logarithm, so that the floor ends at zero."""
    columns, _ = points()
    rng = np.random.default_rng(0)
    loss = 6.0 - 0.1 * np.log(columns["N"]) - 0.06 * np.log(columns["D"]) + rng.normal(0, 0.003, len(columns["N"]))
    rows = [
        dict(zip(("N", "D", "loss"), row, strict=True)) for row in zip(columns["N"], columns["D"], loss, strict=True)
    ]
    return csv(tmp_path, rows[::8])


def test_intervals_beside_a_parameter_at_its_bound_say_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = unbounded_floor(tmp_path)
    assert main(["fit", file, "--law", "chinchilla"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if "95% [" in line}
    assert "at a bound" in lines["E"]
    assert all("given that E stays at a bound" in lines[name] for name in ("A", "alpha", "B", "beta"))
    assert main(["fit", file, "--law", "chinchilla", "--bootstrap", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["bounds_hit"], found["intervals_given"]) == (["E"], ["E"])
    assert found["bootstrap"]["at_bound"]["E"] > 0.5


def test_resamples_at_a_bound_are_counted_where_the_fit_itself_is_not() -> None:
    columns = {name: values[::8] for name, values in points()[0].items()}
    loss = CHINCHILLA.predict(TRUTH, columns) * np.exp(np.random.default_rng(1).normal(0, 0.1, len(columns["N"])))
    result = fit(CHINCHILLA, columns, loss)
    drawn = bootstrap(result, columns, loss, resamples=100, rng=np.random.default_rng(0))
    share = np.mean(drawn.theta[:, 0] <= 1e-9)
    assert drawn.at_bound.get("E", 0.0) == pytest.approx(share)
    assert share > 0
