"""Groups, rules of holding out and what is said of filters, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.laws.registry import CHINCHILLA
from tests.analysis.points import csv

FLOORS = {"web": 1.8, "books": 2.2}


def rows(count: int = 40) -> list[dict]:
    rng = np.random.default_rng(0)
    found = []
    for name, floor in FLOORS.items():
        n = np.exp(rng.uniform(np.log(1e7), np.log(1e10), count))
        d = n * np.exp(rng.uniform(np.log(5), np.log(200), count))
        loss = CHINCHILLA.predict(np.array([floor, 480.0, 0.35, 2100.0, 0.37]), {"N": n, "D": d})
        found += [{"N": a, "D": b, "loss": c, "text": name} for a, b, c in zip(n, d, loss, strict=True)]
    return found


FEW = [{"N": 1e8, "D": 1e9 * (i + 1), "loss": 3.0 - i / 10, "text": "few"} for i in range(3)]


def test_each_group_has_a_fit_and_a_small_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["fit", csv(tmp_path, [*rows(), *FEW]), "--law", "chinchilla", "--by", "text"]
    assert main([*words, "--json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert [(one["group"], one["n_rows"]) for one in found] == [("web", 40), ("books", 40)]
    assert [one["parameters"]["E"] for one in found] == pytest.approx(list(FLOORS.values()), rel=1e-3)
    assert "text few is left out: chinchilla can't be fitted: 3 runs for 5 parameters" in told.err
    assert main(words) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["text", "web", "books"]


def test_a_word_chooses_among_the_fits_of_several_groups(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    saved, alone = tmp_path / "FITS.json", tmp_path / "FIT.json"

    def said(*words: str) -> dict:
        assert main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    def refused(*words: str) -> str:
        assert main(["predict", *words]) == 2
        return capsys.readouterr().err

    file = csv(tmp_path, rows())
    for formula in (("--law", "chinchilla"), ("--formula", "E + A/N^alpha + B/D^beta")):
        words = ("fit", file, *formula, "--bootstrap", "100")
        saved.write_text(json.dumps(said(*words, "--by", "text")))
        alone.write_text(json.dumps(said(*words, "--exclude", "text!=books")))
        for point in (("N=1e9", "D=2e10"), ("C=1e21",)):
            assert said("predict", str(saved), "text=books", *point) == said("predict", str(alone), *point)
    assert "a_N" in said("predict", str(saved), "text=web", "C=1e21")["intervals"]
    told = refused(str(saved), "C=1e21")
    assert "fits of several groups" in told
    assert "text=LABEL once: web, books" in told
    assert "no such group" in refused(str(saved), "text=wbe", "C=1e21")
    assert "text=LABEL once" in refused(str(saved), "text=web", "text=books", "C=1e21")
    assert "no such name in this law" in refused(str(alone), "text=books", "C=1e21")
    assert "a list of 2" in refused(str(alone), "--through", str(saved), "N=1e9", "D=2e10")
    alone.write_text(json.dumps(json.loads(saved.read_text())[0]))
    assert main(["predict", str(alone), "C=1e21"]) == 0
    for wrong in ([], [1], [{"by": "text"}], [{"by": "a", "group": "b"}, {"by": "c", "group": "d"}]):
        saved.write_text(json.dumps(wrong))
        assert "not a saved fit" in refused(str(saved), "C=1e21")


def test_no_group_of_enough_rows_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["fit", csv(tmp_path, FEW), "--law", "chinchilla", "--by", "text"]) == 2
    assert main(["fit", csv(tmp_path, rows()), "--law", "chinchilla", "--by", "txet"]) == 2
    assert capsys.readouterr().out == ""


def test_groups_by_the_labels_of_the_formula_itself_are_refused_by_that_name(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["fit", csv(tmp_path, rows()), "--formula", "E + A[text]/N^alpha + B/D^beta"]
    assert main(words) == 0
    assert main([*words, "--by", "text"]) == 2
    told = capsys.readouterr().err
    assert "no row of text books" in told
    assert "rows of every label" in told


@pytest.mark.parametrize("rule", ["N>1e9", "text=web,other"])
def test_rows_are_held_out_by_a_condition(rule: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    own = rows()
    held = [i + 1 for i, row in enumerate(own) if (row["N"] > 1e9 if rule == "N>1e9" else row["text"] == "web")]
    words = ["compare", csv(tmp_path, own), "--law", "chinchilla", "--holdout", rule, "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == held


@pytest.mark.parametrize("rule", ["N>1e99", "text=wbe", "speed>1", "loss", "loss>0"])
def test_a_condition_that_holds_nothing_out_is_an_error(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["fit", csv(tmp_path, rows()), "--law", "chinchilla", "--holdout", rule]) == 2
    assert "holdout" in capsys.readouterr().err


def test_each_condition_says_how_many_rows_are_left(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["fit", csv(tmp_path, rows()), "--law", "chinchilla", "--exclude", "text!=web", "--exclude", "row=1,41"]
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "exclude text!=web: 40 of 80 rows left" in told
    assert "exclude row=1,41: 39 of 80 rows left" in told
    assert "row 41" not in told
