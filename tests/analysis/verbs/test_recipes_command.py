"""`python -m analysis recipes`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from tests.analysis.points import csv
from tests.analysis.recipe_laws.ladders import BASE, file, ladder

GADRE = Path(__file__).parents[3].parent / "shared" / "data" / "gadre_scaling" / "models_104.csv"
PAIR = {"base": BASE, "other": (*BASE[:3], 2.0)}


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["recipes", *words]) == 2
    return capsys.readouterr().err


def test_it_prints_one_object_with_a_figure_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [file(tmp_path, PAIR), "--by", "recipe", "--bootstrap", "200", "--out", str(tmp_path)]
    words += ["--reference", "base", "--beyond", "10", "100"]
    assert main(["recipes", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["reference"], found["law"]) == ("base", "E + A/C^γ")
    [own] = found["against_reference"]
    assert own["overall"]["low"] < 0.5 < own["overall"]["high"]
    assert [rank["pairs"] for rank in found["rankings"]] == [1] * 6
    assert (tmp_path / "recipes.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "recipes.csv").read_text().splitlines()) == 1 + 9 + 6
    assert main(["recipes", *words]) == 0
    told = capsys.readouterr().out
    assert "extrapolated 10 times beyond the largest budget" in told
    assert "extrapolated 100 times beyond the largest budget" in told
    assert "pairs of recipes ranked as at C 1e+20" in told


def test_other_names_of_columns_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"data": row["recipe"], "flops": row["C"], "nats": row["loss"]}
        for row in ladder(PAIR, np.random.default_rng(0))
    ]
    table = csv(tmp_path, rows)
    assert main(["recipes", table, "--by", "data", "--columns", "C=flops,loss=nats", "--bootstrap", "100"]) == 0
    assert "no such column" in refused(capsys, table, "--by", "recipe", "--columns", "C=flops,loss=nats")


def test_blanks_around_its_name_make_no_other_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ladder(PAIR, np.random.default_rng(0))
    words = ["--by", "recipe", "--bootstrap", "100", "--json"]
    assert main(["recipes", csv(tmp_path, rows), *words]) == 0
    plain = json.loads(capsys.readouterr().out)
    rows[0]["recipe"] = f" {rows[0]['recipe']} "
    assert main(["recipes", csv(tmp_path, rows), *words]) == 0
    assert json.loads(capsys.readouterr().out) == plain


def test_what_cant_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = file(tmp_path, PAIR)
    assert "no such recipe" in refused(capsys, table, "--by", "recipe", "--reference", "third")
    assert "nothing to compare" in refused(capsys, table, "--by", "recipe", "--exclude", "recipe=base")
    told = refused(capsys, table, "--by", "recipe", "--exclude", "C<1e19", "--exclude", "C>9e19")
    assert "too few budgets of a recipe" in told
    assert "base: 2 budgets for 3 parameters" in told
    assert "--exclude 'recipe=base'" in told
    rows = ladder(PAIR, np.random.default_rng(0))
    rows[3]["recipe"] = ""
    assert "in row 4" in refused(capsys, csv(tmp_path, rows), "--by", "recipe")
    rows[3]["recipe"] = "b\x1b[2J"
    assert "can't be printed" in refused(capsys, csv(tmp_path, rows), "--by", "recipe")
    (tmp_path / "taken").write_text("")
    assert "--out" in refused(capsys, table, "--by", "recipe", "--out", str(tmp_path / "taken"))


def test_a_name_that_looks_like_a_formula_is_drawn_as_it_stands(tmp_path: Path) -> None:
    table = file(tmp_path, {"base": BASE, r"$\\worse$": (*BASE[:3], 0.5)})
    assert main(["recipes", table, "--by", "recipe", "--bootstrap", "100", "--out", str(tmp_path)]) == 0


def test_one_seed_takes_its_noise_from_the_laws_and_too_few_rows_make_no_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = file(tmp_path, PAIR, seeds=1)
    assert main(["recipes", table, "--by", "recipe", "--bootstrap", "100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["noise"]["source"] == "distance from the laws"
    few = [table, "--by", "recipe", "--bootstrap", "100", "--exclude", "C<3e18", "--json"]
    assert main(["recipes", *few, "--sigma", "0.004"]) == 0
    assert json.loads(capsys.readouterr().out)["noise"]["source"] == "given"


@pytest.mark.skipif(not GADRE.is_file(), reason="the data set lies beside this repository")
def test_on_public_data_sets_trained_alike_the_laws_misfit_is_shared(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--by", "dataset", "--columns", "loss=loss_c4_val", "--bootstrap", "100", "--json"]
    assert main(["recipes", str(GADRE), *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reference"] == "rw_original"
    own = {one["name"]: one for one in found["against_reference"]}
    # C4 is what is evaluated on: it must need less.
    assert own["c4_original"]["overall"]["high"] < 0.85
    assert found["noise"]["sd"][0] < 0.04
