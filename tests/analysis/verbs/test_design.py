"""python -m analysis design, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.__main__ import main
from tests.analysis.points import csv, drawn, grid

WANTED = ("--law", "chinchilla", "--target", "N=3e10,D=600B", "--budget", "1e21", "--bootstrap", "200")


@pytest.fixture
def file(tmp_path: Path) -> str:
    n, d = grid()
    return csv(tmp_path, drawn(n, d, 0.004, run=[f"run {i}" for i in range(len(n))]))


def said(capsys: pytest.CaptureFixture, *words: str) -> dict[str, Any]:
    assert main(["design", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture, *words: str) -> str:
    assert main(["design", *words]) == 2
    return capsys.readouterr().err


def test_runs_are_within_budget_and_size_and_leave_a_narrower_interval(
    file: str, capsys: pytest.CaptureFixture
) -> None:
    found = said(capsys, file, *WANTED, "--largest", "2e9", "--runs", "3")
    assert [len(plan["runs"]) for plan in found["plans"]] == [1, 2, 3]
    assert found["interval"][0] < found["loss"] < found["interval"][1]
    assert found["width"] == pytest.approx(found["interval"][1] - found["interval"][0])
    assert found["sigma"] == pytest.approx(0.004 * 2.5, rel=0.4)  # .004 of the logarithm of losses of about 2.5 nats
    for plan in found["plans"]:
        assert plan["price"] == pytest.approx(sum(6 * run["N"] * run["D"] for run in plan["runs"]))
        assert plan["price"] <= 1e21 * (1 + 1e-6)
        assert max(run["N"] for run in plan["runs"]) <= 2e9 * (1 + 1e-6)
        assert plan["width"] < found["width"]
    assert found["plans"][found["best"] - 1]["width"] == min(plan["width"] for plan in found["plans"])
    one = min(found["candidates"], key=lambda run: run["width"])
    assert (found["plans"][0]["runs"][0]["N"], found["plans"][0]["width"]) == pytest.approx((one["N"], one["width"]))
    assert any("extrapolated" in text for text in found["warnings"])


def test_it_is_told_in_words_too(file: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["design", file, *WANTED, "--runs", "2", "--sigma", "0.01"]) == 0
    told = capsys.readouterr().out
    assert "σ of a run 0.01 nats (--sigma)" in told
    assert "one more run, by its price:" in told
    assert told.count("   2 runs") == 1
    assert told.count("narrowest") == 1


def test_more_noise_of_a_run_leaves_a_wider_interval(file: str, capsys: pytest.CaptureFixture) -> None:
    widths = [said(capsys, file, *WANTED, "--sigma", sigma)["plans"][2]["width"] for sigma in ("0.005", "0.02")]
    assert 2 < widths[1] / widths[0] < 6


def test_a_row_that_makes_all_of_the_noise_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = drawn(*grid(), 0.004)
    clean = said(capsys, csv(tmp_path, rows), *WANTED)
    assert not any("almost alone" in text for text in clean["warnings"])
    rows[6]["loss"] += 0.5
    file = csv(tmp_path, rows)
    assert any("row 7" in text for text in said(capsys, file, *WANTED)["warnings"])
    assert not any("row 7" in text for text in said(capsys, file, *WANTED, "--sigma", "0.01")["warnings"])
    left = said(capsys, file, *WANTED, "--exclude", "row=7")
    assert left["sigma"] == pytest.approx(clean["sigma"], rel=0.3)


def test_runs_come_from_a_table_with_prices(file: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = [
        {"N": n, "D": 20 * n, "dollars": dollars} for n, dollars in ((1e9, 10), (3e9, 50), (1e10, 400), (2e10, 5000))
    ]
    table = csv(tmp_path, rows, "planned.csv")
    found = said(capsys, file, *WANTED, "--budget", "500", "--candidates", table, "--price", "dollars", "--runs", "2")
    assert {run["price"] for run in found["candidates"]} == {10, 50, 400}
    assert found["plans"][0]["runs"] == [{"N": 1e10, "D": 2e11, "price": 400.0}]
    assert sum(run["price"] for run in found["plans"][1]["runs"]) <= 500
    found = said(capsys, file, *WANTED, "--candidates", table)
    assert [run["price"] for run in found["candidates"]] == [6 * n * 20 * n for n in (1e9,)]
    assert "no such column" in refused(capsys, file, *WANTED, "--candidates", table, "--price", "euros")
    assert "pays for no run" in refused(
        capsys, file, *WANTED, "--budget", "5", "--candidates", table, "--price", "dollars"
    )
    odd = csv(tmp_path, [{"N": "1e9", "D": "-2", "dollars": "1"}], "odd.csv")
    assert "-2" in refused(capsys, file, *WANTED, "--candidates", odd)


def test_whole_runs_are_resampled_where_rows_are_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Errors that the rows of one run share leave its checkpoints no more to say than one of them, or hardly more."""
    n = np.repeat(np.geomspace(5e7, 1e9, 20), 8)
    d = n * np.tile(np.geomspace(10, 80, 8), 20)
    shared = np.repeat(np.random.default_rng(1).normal(0, 0.01, 20), 8)
    rows = [row | {"loss": row["loss"] * np.exp(e)} for row, e in zip(drawn(n, d, 1e-4, run=n), shared, strict=True)]
    file = csv(tmp_path, rows)
    by_run = said(capsys, file, *WANTED, "--clusters", "run")["width"]
    assert by_run > 1.5 * said(capsys, file, *WANTED)["width"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--target", "N=3e10"), "other columns"),
        (("--target", "N=3e10,D=600B,S=0.5"), "no such name"),
        (("--target", "N=3e10,D=some"), "not a number"),
        (("--target", "N=3e10,D=6e11,D=7e11"), "twice"),
        (("--budget", "1e12"), "pays for no run"),
        (("--price", "dollars"), "a column of prices without a table of runs"),
        (("--largest", "1e5"), "no run is so small"),
        (("--bootstrap", "10"), "too few resamples"),
        (("--sigma", "0"), "not a positive number"),
        (("--candidates", "nowhere.csv"), "no such table"),
    ],
)
def test_what_cant_be_is_refused(
    words: tuple[str, ...], message: str, file: str, capsys: pytest.CaptureFixture
) -> None:
    assert message in refused(capsys, file, *WANTED, *words)


@pytest.mark.parametrize("words", [("--budget", "0"), ("--budget", "nan"), ("--runs", "0"), ("--runs", "2.5")])
def test_numbers_that_are_none_are_refused(words: tuple[str, str], file: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["design", file, *WANTED, *words])


def test_a_law_of_more_columns_needs_a_table_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = str(tmp_path / "sparse.csv")
    assert main(["simulate", "--law", "sparse", "--sigma", "0.003", table]) == 0
    words = (table, "--law", "sparse", "--target", "N=1e10,D=1e12,S=0.5", "--budget", "10", "--bootstrap", "200")
    assert "--candidates" in refused(capsys, *words)
    planned = csv(tmp_path, [{"N": 3e9, "D": 2e11, "S": s, "cost": 1 + s} for s in (0, 0.5, 0.8)], "planned.csv")
    assert "--price" in refused(capsys, *words, "--candidates", planned)
    found = said(capsys, *words, "--candidates", planned, "--price", "cost")
    assert [(run["S"], run["price"]) for run in found["candidates"]] == [(0, 1), (0.5, 1.5), (0.8, 1.8)]
    assert found["plans"][2]["width"] < found["plans"][0]["width"] < found["width"]


def test_a_formula_gives_the_answer_of_the_law_that_it_writes(file: str, capsys: pytest.CaptureFixture) -> None:
    ours = said(capsys, file, *WANTED)
    theirs = said(capsys, file, "--formula", "E + A/N^alpha + B/D^beta", *WANTED[2:])
    assert theirs["width"] == pytest.approx(ours["width"], rel=0.01)
    assert theirs["plans"][0]["runs"] == ours["plans"][0]["runs"]


def test_a_formula_with_labels_takes_runs_of_each(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    n, d = (np.tile(values, 2) for values in grid())
    kind = np.repeat(["old", "new"], len(n) // 2)
    rows = [
        row | {"loss": row["loss"] * (0.95 if row["data"] == "new" else 1)} for row in drawn(n, d, 0.003, data=kind)
    ]
    file = csv(tmp_path, rows)
    words = ("--formula", "E[data] + A/N^alpha + B/D^beta", "--target", "N=3e10,D=6e11,data=new", "--budget", "1e22")
    assert "--candidates" in refused(capsys, file, *words)
    planned = csv(tmp_path, [{"N": 5e9, "D": 1e11, "data": name} for name in ("old", "new")], "planned.csv")
    found = said(capsys, file, *words, "--candidates", planned, "--runs", "1", "--bootstrap", "200")
    assert found["target"]["data"] == "new"
    assert found["plans"][0]["runs"][0]["data"] == "new"
    odd = csv(tmp_path, [{"N": 5e9, "D": 1e11, "data": "other"}], "odd.csv")
    assert "old, new" in refused(capsys, file, *words, "--candidates", odd).replace("new, old", "old, new")
