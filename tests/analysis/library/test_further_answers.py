"""Further runs, recipes and rates in Python: the numbers that the commands print, to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.__main__ import main
from repro.errors import UserError
from tests.analysis import compute
from tests.analysis.points import csv, drawn, grid
from tests.analysis.rate_laws.test_rate_surface import runs
from tests.analysis.recipe_laws.ladders import BASE, ladder

Out = pytest.CaptureFixture[str]
PAIR = {"base": BASE, "other": (*BASE[:3], 2.0)}
TARGET = {"N": 3e10, "D": 6e11}


def same(found: Any, capsys: Out, *words: str) -> None:
    """To the bit, but for warnings, which name arguments instead of options."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    printed, own = json.loads(capsys.readouterr().out), found.as_json()
    assert len(own.pop("warnings", [])) == len(printed.pop("warnings", []))
    assert json.loads(json.dumps(own)) == printed


def same_list(found: Any, capsys: Out, *words: str) -> None:
    """The same of a list, an object for each group."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    printed, own = json.loads(capsys.readouterr().out), found.as_json()
    assert [len(one.pop("warnings", [])) for one in own] == [len(one.pop("warnings", [])) for one in printed]
    assert json.loads(json.dumps(own)) == printed


def shows(found: Any, *told: str) -> None:
    for text in (repr(found), found._repr_html_()):
        assert "--" not in text
        for one in told:
            assert one in text


def test_further_runs_are_those_of_the_command(tmp_path: Path, capsys: Out) -> None:
    file = csv(tmp_path, drawn(*grid(), 0.004))
    found = analysis.design(file, "chinchilla", TARGET, budget=1e21)
    same(found, capsys, "design", file, "--law", "chinchilla", "--target", "N=3e10,D=6e11", "--budget", "1e21")
    assert found.best["width"] == min(plan["width"] for plan in found.plans) < np.diff(found.interval)[0]
    shows(found, "one more run, by its price", "narrowest")
    told = ("E + A/N^alpha + B/D^beta", TARGET)
    few = analysis.design(file, *told, budget=1e20, runs=2, largest=2e9, sigma=0.01, fix={"E": 1.8}, bootstrap=200)
    same(
        few, capsys, "design", file, "--formula", told[0], "--target", "N=3e10,D=6e11", "--budget", "1e20", "--runs", "2",
        "--largest", "2e9", "--sigma", "0.01", "--fix", "E=1.8", "--bootstrap", "200",
    )  # fmt: skip


def test_further_runs_are_chosen_from_any_kind_of_table(tmp_path: Path, capsys: Out) -> None:
    file = csv(tmp_path, drawn(*grid(), 0.004))
    priced = [{"N": n, "D": 20 * n, "euros": n / 1e8} for n in (1e9, 2e9, 4e9)]
    planned = csv(tmp_path, priced, "planned.csv")
    found = analysis.design(
        file, "chinchilla", TARGET, budget=60, candidates=pd.DataFrame(priced), price="euros", bootstrap=200
    )
    same(
        found, capsys, "design", file, "--law", "chinchilla", "--target", "N=3e10,D=6e11", "--budget", "60", "--candidates",
        planned, "--price", "euros", "--bootstrap", "200",
    )  # fmt: skip


def test_recipes_are_compared_as_by_the_command(tmp_path: Path, capsys: Out) -> None:
    rows = [
        {"flops": row["C"], "data": row["recipe"], "nats": row["loss"]}
        for row in ladder(PAIR, np.random.default_rng(0))
    ]
    file = csv(tmp_path, rows)
    table = analysis.read(file, C="flops", loss="nats", exclude="flops<2e17")
    found = analysis.recipes(table, "data", reference="base", beyond=[10, 100])
    same(
        found, capsys, "recipes", file, "--by", "data", "--columns", "C=flops,loss=nats", "--exclude", "flops<2e17",
        "--reference", "base", "--beyond", "10", "100",
    )  # fmt: skip
    share = found.against["other"].overall
    assert share.value == pytest.approx(0.5, abs=0.1)
    shows(found, "other reaches the loss of base", "rows left")
    assert found.plot(tmp_path / "recipes.png").png.startswith(b"\x89PNG")


def test_rates_are_those_of_the_command(tmp_path: Path, capsys: Out) -> None:
    file = csv(tmp_path, runs(np.random.default_rng(0)))
    found = analysis.rates(file, target={"N": 7e7, "D": 1.4e9}, near=0.03)
    same(found, capsys, "rates", file, "--target", "N=7e7,D=1.4e9", "--near", "0.03")
    assert found.laws["lr"].exponents()["N"][0] == pytest.approx(-0.4, abs=0.1)
    shows(found, "lr* at N 7e+07 D 1.4e+09", "batch*")
    assert b"<svg" in (found.plot(tmp_path / "rates.svg") and (tmp_path / "rates.svg").read_bytes())


def test_each_group_has_the_answer_of_the_command(tmp_path: Path, capsys: Out) -> None:
    rows = [
        row | {"text": kind} for kind, shift in (("web", 0.0), ("code", 0.3)) for row in drawn(*grid(), shift + 0.002)
    ]
    file = csv(tmp_path, [*rows, rows[0] | {"text": "few"}])
    found = analysis.fit(analysis.read(file), "chinchilla", by="text", bootstrap=200)
    same_list(found, capsys, "fit", file, "--law", "chinchilla", "--by", "text", "--bootstrap", "200")
    assert list(found.groups) == ["web", "code"]
    alone = analysis.fit(analysis.read(file, exclude="text!=code"), "chinchilla", bootstrap=200)
    assert found["code"].params == alone.params
    assert found["code"].predict(N=1e9, D=2e10) == alone.predict(N=1e9, D=2e10)
    shows(found, "web", "code", "text few is left out")
    with pytest.raises(UserError, match="1 runs for 5 parameters"):
        found["few"]
    with pytest.raises(UserError, match="no such group"):
        found["books"]


def test_each_group_has_its_exponents_and_its_rates(tmp_path: Path, capsys: Out) -> None:
    size, flops, _, loss = compute.budgets(compute.HOFFMANN)
    rng = np.random.default_rng(0)
    sweep = [
        {"N": n, "C": c, "loss": own, "text": kind}
        for kind in ("web", "code")
        for n, c, own in zip(size, flops, compute.noisy(loss, 0.003, rng), strict=True)
    ]
    file = csv(tmp_path, sweep)
    sizes = analysis.isoflop(file, by="text", bootstrap=100)
    same_list(sizes, capsys, "isoflop", file, "--by", "text", "--bootstrap", "100")
    assert sizes["web"].a_N.value != sizes["code"].a_N.value
    assert sizes["web"].plot().png.startswith(b"\x89PNG")
    tried = [row | {"text": kind} for kind in ("web", "code") for row in runs(rng, batches=False)]
    file = csv(tmp_path, tried, "rates.csv")
    best = analysis.rates(file, by="text", target=TARGET)
    same_list(best, capsys, "rates", file, "--by", "text", "--target", "N=3e10,D=6e11")
    shows(best, "text web:", "text code:")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda table: analysis.design(table, "chinchilla", {"N": 1e9}, budget=1e21), "other columns"),
        (lambda table: analysis.design(table, "chinchilla", TARGET, budget=0), "key:      budget"),
        (lambda table: analysis.design(table, "chinchilla", TARGET, budget="all"), "key:      budget"),
        (lambda table: analysis.design(table, "chinchilla", TARGET, budget=1e21, runs=13), "key:      runs"),
        (lambda table: analysis.design(table, "chinchilla", TARGET, budget=1e21, runs=2.5), "key:      runs"),
        (lambda table: analysis.design(table, "chinchilla", TARGET, budget=1e21, largest=-1), "key:      largest"),
        (lambda table: analysis.design(table, "chinchilla", TARGET, budget=1e21, bootstrap=0), "key:      bootstrap"),
        (lambda table: analysis.design(table, "chinchilla", TARGET, budget=1e21, price="euros"), "key:      price"),
        (lambda table: analysis.recipes(table, "data"), "no such column"),
        (lambda table: analysis.recipes(table, "run"), "too few budgets of a recipe"),
        (lambda table: analysis.recipes(table, "run", beyond=[10, 1]), "key:      beyond"),
        (lambda table: analysis.recipes(table, "run", bootstrap=0), "key:      bootstrap"),
        (lambda table: analysis.rates(table), "say lr=ITS_NAME"),
        (lambda table: analysis.rates(table, near=0), "key:      near"),
        (lambda table: analysis.rates(table, sigma=-1), "key:      sigma"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_names_arguments(call: Any, told: str, tmp_path: Path) -> None:
    n, d = grid()
    file = csv(tmp_path, drawn(n, d, run=[f"run {i}" for i in range(len(n))]))
    with pytest.raises(UserError) as found:
        call(analysis.read(file))
    assert told in str(found.value)
    assert "--" not in str(found.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda table: analysis.design(table, "chinchilla", TARGET, budget=1e21),
        lambda table: analysis.recipes(table, "run"),
        lambda table: analysis.rates(table, target=TARGET),
    ],
)
def test_weights_are_refused_where_rows_are_taken_alike(call: Any, tmp_path: Path) -> None:
    table = analysis.read(csv(tmp_path, drawn(*grid(), lr=0.1, run="a", w=1.0)), weights="w")
    with pytest.raises(UserError, match="this call uses every row as it is"):
        call(table)
