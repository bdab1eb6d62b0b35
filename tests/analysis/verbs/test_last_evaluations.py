"""fit and compare --last: on the training losses of real dense runs, held in docs/evidence/laptop, and on tables with one fault each."""

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
from tests.analysis.points import csv

Out = pytest.CaptureFixture[str]
EVIDENCE = Path(__file__).parents[3] / "docs" / "evidence" / "laptop"
WORDS = ["--law", "chinchilla", "--clusters", "run_id"]


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    """What the dense runs logged: run_id, step, N, D and the training loss, in an order of no use."""
    runs = pd.read_parquet(EVIDENCE / "runs.parquet")
    curves = pd.read_parquet(EVIDENCE / "curves.parquet").dropna(subset="loss_train")
    dense = runs[(runs.sparsity == 0) & runs.studies.map(lambda own: "lr" not in own)]
    rows = curves.merge(dense[["run_id", "N_prunable"]], on="run_id")
    rows = rows.rename(columns={"N_prunable": "N", "tokens": "D", "loss_train": "loss"})
    late = rows.sort_values("step").groupby("run_id").tail(30)
    return late[["run_id", "step", "N", "D", "loss"]].sample(frac=1, random_state=0)


@pytest.fixture
def file(real: pd.DataFrame, tmp_path: Path) -> str:
    real.to_csv(tmp_path / "curves.csv", index=False)
    return str(tmp_path / "curves.csv")


def said(capsys: Out, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def by_hand(real: pd.DataFrame, count: int, tmp_path: Path) -> str:
    runs = real.sort_values("D").groupby("run_id")
    last = runs.tail(1).set_index("run_id")
    last["loss"] = runs.tail(count).groupby("run_id").loss.mean()
    last.to_csv(tmp_path / "last.csv")
    return str(tmp_path / "last.csv")


@pytest.mark.parametrize("count", [1, 3])
def test_the_mean_of_the_last_evaluations_is_a_runs_row(
    count: int, real: pd.DataFrame, file: str, tmp_path: Path, capsys: Out
) -> None:
    found = said(capsys, "fit", file, *WORDS, "--last", str(count), "--holdout", "largest:N")
    wanted = said(capsys, "fit", by_hand(real, count, tmp_path), *WORDS[:2], "--holdout", "largest:N")
    runs = real.run_id.nunique()
    assert found["n_rows"] == wanted["n_rows"] == runs < len(real) / 10
    assert found["last"] == {"evaluations": count, "by": "D", "clusters": "run_id", "rows": len(real)}
    assert (found["ranges"], found["ratios"]) == (wanted["ranges"], wanted["ratios"])
    assert found["parameters"] == pytest.approx(wanted["parameters"], rel=1e-5)
    for key in ("mean_abs_error", "best_seen"):
        assert found["held_out"][key] == pytest.approx(wanted["held_out"][key], rel=1e-5)
    assert not any("correlated" in text or "treat rows as independent" in text for text in found["warnings"])


def test_any_column_orders_them_and_the_summary_says_so(file: str, real: pd.DataFrame, capsys: Out) -> None:
    by_step = said(capsys, "fit", file, *WORDS, "--last", "3:step")
    assert by_step["parameters"] == said(capsys, "fit", file, *WORDS, "--last", "3")["parameters"]
    assert main(["fit", file, *WORDS, "--last", "3:step"]) == 0
    line = f"a loss is the mean of the last 3 evaluations of a run (run_id) by step; {len(real)} rows were {real.run_id.nunique()} runs"
    assert line in capsys.readouterr().out
    assert main(["compare", file, "--law", "chinchilla", "--clusters", "run_id", "--last", "3:step"]) == 0
    assert line in capsys.readouterr().out


def test_what_is_left_out_is_no_evaluation(file: str, real: pd.DataFrame, tmp_path: Path, capsys: Out) -> None:
    edge = int(real.D.median())
    early = real[edge >= real.D]
    found = said(capsys, "fit", file, *WORDS, "--last", "2", "--exclude", f"D>{edge}")
    wanted = said(capsys, "fit", by_hand(early, 2, tmp_path), *WORDS[:2])
    assert found["n_rows"] == wanted["n_rows"]
    assert found["objective"] == pytest.approx(wanted["objective"], rel=1e-6)


def test_a_saved_fit_and_python_agree(file: str, tmp_path: Path, capsys: Out) -> None:
    printed = said(capsys, "fit", file, *WORDS, "--last", "3", "--weights", "N", "--bootstrap", "100")
    (tmp_path / "FIT.json").write_text(json.dumps(printed))
    fit = analysis.fit(analysis.read(file, clusters="run_id", last=3, weights="N"), "chinchilla", bootstrap=100)
    assert json.loads(json.dumps(fit.as_json()))["draws"] == printed["draws"]
    point, told = fit.predict(N=1e5, D=1e7), said(capsys, "predict", str(tmp_path / "FIT.json"), "N=1e5", "D=1e7")
    assert (point.value, [point.low, point.high]) == (told["loss"], told["interval"])
    assert "the mean of the last 3 evaluations" in repr(fit)


def test_rows_of_a_law_keep_their_labels_and_their_ranges(tmp_path: Path) -> None:
    """Evaluations at many D of runs whose D/N is 20 in all: of what is left, N and D can't be told apart."""
    sizes = np.repeat(np.geomspace(1e7, 1e9, 12), 5)
    data = sizes * 20 * np.tile([0.2, 0.4, 0.6, 0.8, 1.0], 12)
    runs = {
        "run": [f"r{int(n)}" for n in sizes],
        "N": sizes,
        "D": data,
        "loss": 1.8 + 400 / sizes**0.3 + 400 / data**0.3,
    }
    found = analysis.fit(analysis.read(runs, clusters="run", last=1), "chinchilla")
    assert any("D/N is 20 in every row" in text for text in found.warnings)
    whole = analysis.fit(analysis.read(runs, clusters="run"), "chinchilla")
    assert not any("D/N is" in text for text in whole.warnings)


ROWS = [
    {"run": f"r{i}", "step": step, "N": n, "D": n * ratio, "loss": 2 + 100 / n**0.3 + 100 / (n * ratio * step) ** 0.3}
    for i, (n, ratio) in enumerate((n, ratio) for n in (1e6, 1e7, 1e8) for ratio in (10, 40))
    for step in (1, 2, 3)
]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--last", "2"], "--clusters COLUMN with it"),
        (["--last", "2", "--clusters", "rnu"], "no such column"),
        (["--last", "0", "--clusters", "run"], "no number of evaluations"),
        (["--last", "-1", "--clusters", "run"], "no number of evaluations"),
        (["--last", "1.5", "--clusters", "run"], "no number of evaluations"),
        (["--last", "2:", "--clusters", "run"], "no number of evaluations"),
        (["--last", "2:stpe", "--clusters", "run"], "no such column"),
        (["--last", "2:run", "--clusters", "run"], "no number in the column that orders evaluations"),
        (["--last", "2", "--clusters", "run"], "which evaluation is later can't be told"),
        (["--last", "4:step", "--clusters", "run"], "r0 has 3, r1 has 3"),
        (["--last", "3:step", "--clusters", "run", "--exclude", "row=1"], "1 of 6 runs have fewer evaluations"),
    ],
)
def test_what_has_no_one_meaning_is_an_error(words: list[str], told: str, tmp_path: Path, capsys: Out) -> None:
    assert main(["fit", csv(tmp_path, ROWS), "--law", "chinchilla", *words]) == 2
    assert told in capsys.readouterr().err
    assert main(["fit", csv(tmp_path, ROWS), "--law", "chinchilla", "--clusters", "run", "--last", "2:step"]) == 0


def test_a_row_of_no_run_is_an_error(tmp_path: Path, capsys: Out) -> None:
    rows = [*ROWS, {**ROWS[0], "run": ""}]
    assert main(["fit", csv(tmp_path, rows), "--law", "chinchilla", "--clusters", "run", "--last", "2:step"]) == 2
    assert "nothing in row 19" in capsys.readouterr().err
    with pytest.raises(UserError) as found:
        analysis.read(csv(tmp_path, ROWS), clusters="run", last="two")
    assert found.value.key == "last"


@pytest.mark.parametrize("asked", [{"last": "2:step"}, {"weights": "N"}])
def test_answers_that_take_rows_as_they_are_refuse_both(asked: dict[str, str], tmp_path: Path) -> None:
    runs = analysis.read(csv(tmp_path, ROWS), clusters="run", **asked)
    for call in (
        analysis.isoflop,
        lambda table: analysis.design(table, "chinchilla", {"N": 1e9, "D": 1e10}, budget=1e20),
    ):
        with pytest.raises(UserError) as found:
            call(runs)
        assert found.value.key == next(iter(asked))
