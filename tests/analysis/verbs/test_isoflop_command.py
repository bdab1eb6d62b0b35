"""The verb isoflop, as a user calls it."""

from __future__ import annotations

import csv as reader
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.__main__ import main
from tests.analysis import compute
from tests.analysis.points import csv

Out = pytest.CaptureFixture[str]
NAMES = ["--columns", "N=params,C=flops", "--columns", "loss=val"]


def rows(noise: float = 0.003, count: int = 5, theta: np.ndarray = compute.HOFFMANN) -> list[dict[str, Any]]:
    size, flops, _, loss = compute.budgets(theta, count)
    loss = compute.noisy(loss, noise, np.random.default_rng(0))
    return [{"params": n, "flops": c, "val": own} for n, c, own in zip(size, flops, loss, strict=True)]


def along(**held: Any) -> list[dict[str, Any]]:
    size, flops, tokens, loss = compute.curves(compute.BESIROGLU, 7, points=30)
    loss = compute.noisy_curves(size, loss, 0.002, 0.001, np.random.default_rng(0))
    columns = {"N": size, "D": tokens, "C": flops, "loss": loss}
    names = [f"run-{n:.3g}" for n in size]
    return [
        {"run": name, **dict(zip(columns, row, strict=True)), **held}
        for name, row in zip(names, zip(*columns.values(), strict=True), strict=True)
    ]


def asked(capsys: Out, *words: str) -> tuple[Any, str]:
    capsys.readouterr()
    assert main(["isoflop", *words, "--json"]) == 0
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def refused(capsys: Out, *words: str) -> str:
    capsys.readouterr()
    assert main(["isoflop", *words]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("method", ["parabola", "free"])
def test_it_prints_both_exponents_with_their_intervals(method: str, tmp_path: Path, capsys: Out) -> None:
    found, _ = asked(capsys, csv(tmp_path, rows()), *NAMES, "--method", method)
    true = compute.a_n(compute.HOFFMANN)
    assert found["a_N"]["low"] < true < found["a_N"]["high"]
    assert found["a_D"]["low"] < 1 - true < found["a_D"]["high"]
    assert (found["method"], found["n_rows"], len(found["budgets"])) == (method, 35, 5)
    assert found["budgets"][0]["D"] == pytest.approx(found["budgets"][0]["C"] / (6 * found["budgets"][0]["N"]))
    assert found["warnings"] == []


def test_without_a_column_of_flops_they_are_6_n_d(tmp_path: Path, capsys: Out) -> None:
    file = csv(tmp_path, along())
    by_flops, _ = asked(capsys, file, "--columns", "C=C", "--method", "envelope")
    by_tokens, _ = asked(capsys, file, "--columns", "D=D", "--exclude", "row=1", "--method", "envelope")
    assert by_tokens["a_N"]["value"] == pytest.approx(by_flops["a_N"]["value"], rel=0.01)
    runs, _ = asked(capsys, file, "--method", "envelope", "--clusters", "run")
    assert runs["a_N"]["low"] < compute.a_n(compute.BESIROGLU) < runs["a_N"]["high"]


def test_the_figure_and_its_numbers_are_written(tmp_path: Path, capsys: Out) -> None:
    for name, given in (
        ("budgets", [csv(tmp_path, rows(count=9)), *NAMES]),
        ("free", [csv(tmp_path, rows(count=9)), *NAMES, "--method", "free"]),
        ("curves", [csv(tmp_path, along(), "along.csv"), "--method", "envelope"]),
    ):
        found, said = asked(capsys, *given, "--out", str(tmp_path / name))
        assert f"{tmp_path / name}/isoflop.pdf .png .csv" in said
        assert (tmp_path / name / "isoflop.png").read_bytes().startswith(b"\x89PNG")
        drawn = list(reader.DictReader((tmp_path / name / "isoflop.csv").open()))
        best = [float(row["N"]) for row in drawn if row["kind"] == "best" and row["N"]]
        assert best == pytest.approx([one["N"] for one in found["budgets"] if one["N"] is not None])
        assert len(drawn) > 100


def test_intervals_say_whether_they_are_of_the_noise_or_of_resampled_runs(tmp_path: Path, capsys: Out) -> None:
    file = csv(tmp_path, rows())
    by_noise, _ = asked(capsys, file, *NAMES)
    by_points, _ = asked(capsys, file, *NAMES, "--bootstrap", "100")
    assert (by_noise["intervals_from"], by_points["intervals_from"]) == ("noise", "bootstrap over points")
    assert (by_noise["resamples"], by_points["resamples"]) == (0, 100)
    assert by_points["a_N"]["value"] == by_noise["a_N"]["value"]
    assert by_points["a_N"]["low"] != by_noise["a_N"]["low"]
    assert main(["isoflop", file, *NAMES, "--bootstrap", "100"]) == 0
    assert "bootstrap over points, 100 resamples" in capsys.readouterr().out


def test_each_group_has_its_own_exponents(tmp_path: Path, capsys: Out) -> None:
    kinds = {"web": compute.HOFFMANN, "code": compute.BESIROGLU}
    drawn = [row | {"text": kind} for kind, theta in kinds.items() for row in rows(theta=theta)]
    few = [row | {"text": "few"} for row in rows()[:4]]
    file = csv(tmp_path, [*drawn, *few])
    found, said = asked(capsys, file, *NAMES, "--by", "text")
    assert [(one["by"], one["group"], one["n_rows"]) for one in found] == [("text", "web", 35), ("text", "code", 35)]
    for one, theta in zip(found, kinds.values(), strict=True):
        alone, _ = asked(capsys, file, *NAMES, "--exclude", f"text!={one['group']}")
        assert (one["a_N"], one["budgets"]) == (alone["a_N"], alone["budgets"])
        assert one["a_N"]["low"] < compute.a_n(theta) < one["a_N"]["high"]
    assert "text few is left out: too few budgets with a minimum" in said
    assert main(["isoflop", file, *NAMES, "--by", "text"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["text", "web", "code"]
    told = refused(capsys, file, *NAMES, "--by", "text", "--exclude", "text!=few")
    assert "no group has an answer" in told
    assert "text few: too few budgets with a minimum: 1 of 1 budgets\n" in told
    assert "no such column" in refused(capsys, file, *NAMES, "--by", "kind")
    assert "a figure of one answer" in refused(capsys, file, *NAMES, "--by", "text", "--out", str(tmp_path / "out"))


def test_a_budget_without_a_minimum_is_said(tmp_path: Path, capsys: Out) -> None:
    drawn = rows(count=4)
    last = max(row["flops"] for row in drawn)
    small = [row for row in drawn if row["flops"] < last or row["params"] < 1.1e9]
    found, said = asked(capsys, csv(tmp_path, small), *NAMES)
    assert "left out: 1 of 4 budgets" in said
    assert "larger ones may be better" in found["budgets"][-1]["left_out"]
    few = [row for row in small if row["flops"] > 1e18]
    assert "too few budgets" in refused(capsys, csv(tmp_path, few), *NAMES)


@pytest.mark.parametrize(("column", "value"), [("params", -1e8), ("flops", 0.0), ("val", -2.5)])
def test_what_isnt_positive_is_refused_with_its_place(column: str, value: float, tmp_path: Path, capsys: Out) -> None:
    drawn = rows()
    drawn[4][column] = value
    said = refused(capsys, file := csv(tmp_path, drawn), *NAMES)
    assert file in said
    assert column in said
    assert f"{value:g} in row 5" in said
    assert main(["isoflop", file, *NAMES, "--exclude", "row=5"]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tolerance", "-1"], "--tolerance"),
        (["--tolerance", "nan"], "--tolerance"),
        (["--sigma", "0"], "--sigma"),
        (["--bootstrap", "20"], "too few resamples"),
        (["--bootstrap", "200", "--sigma", "0.01"], "one of the two"),
        (["--bootstrap", "200", "--method", "envelope"], "--bootstrap"),
        (["--clusters", "val"], "--clusters"),
        (["--method", "envelope", "--tolerance", "0.1"], "--tolerance"),
        (["--columns", "S=val"], "--columns S=val"),
        (["--columns", "D=steps"], "no such column"),
    ],
)
def test_options_that_cant_be_are_refused(words: list[str], told: str, tmp_path: Path, capsys: Out) -> None:
    assert told in refused(capsys, csv(tmp_path, rows()), *NAMES, *words)
