"""What a table makes one doubt, said at the fit and again at every prediction."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.laws.registry import CHINCHILLA
from analysis.tables import row_ranges, table
from tests.analysis.points import csv, drawn, grid

Say = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> tuple[dict[str, Any], str]:
        assert main([*words, "--json"]) == 0
        told = capsys.readouterr()
        return json.loads(told.out), told.err

    return run


@pytest.fixture
def fitted(say: Say, tmp_path: Path) -> Callable[..., str]:
    """The file of a fit to rows."""

    def make(rows: list[dict[str, Any]], *words: str, law: str = "chinchilla") -> str:
        found, _ = say("fit", csv(tmp_path, rows), "--law", law, *words)
        (tmp_path / "FIT.json").write_text(json.dumps(found))
        return str(tmp_path / "FIT.json")

    return make


def test_a_sound_table_and_a_point_within_it_raise_no_doubt(say: Say, fitted: Callable[..., str]) -> None:
    fit = fitted(drawn(*grid()))
    assert json.loads(Path(fit).read_text())["warnings"] == []
    found, told = say("predict", fit, "N=1e8", "D=2e9")
    assert (found["warnings"], told) == ([], "")


@pytest.mark.parametrize("mark", ["parent", "start_sha256"])
def test_runs_that_started_from_other_weights_are_not_fitted_by_what_they_saw_themselves(
    mark: str, say: Say, tmp_path: Path
) -> None:
    rows = [row | {"N_avg": row["N"], "N_avg_life": row["N"], "D_life": row["D"], mark: ""} for row in drawn(*grid())]
    columns = ("--law", "chinchilla", "--columns")
    assert say("fit", csv(tmp_path, rows), *columns, "N=N_avg")[0]["warnings"] == []
    for row in rows[:2]:
        row |= {mark: "other", "D_life": 1.5 * row["D"]}
    [warning] = say("fit", csv(tmp_path, rows), *columns, "N=N_avg")[0]["warnings"]
    assert warning.startswith("2 rows started from the weights of another")
    assert "N=N_avg_life,D=D_life" in warning
    assert "started" not in str(say("fit", csv(tmp_path, rows), *columns, "N=N_avg_life,D=D_life")[0]["warnings"])


@pytest.mark.parametrize(("words", "beyond"), [
    (["N=1e11", "D=2e12"], {"N = 1e+11", "D = 2e+12"}),
    (["N=1M", "D=20M"], {"N = 1e+06", "D = 2e+07"}),
    (["N=9e8", "D=9e9"], set()),
    (["N=9e8", "D=1e9"], {"D/N = 1.111"}),
    (["C=1e25"], {"N = ", "D = "}),
])  # fmt: skip
def test_what_lies_beyond_the_rows_is_marked(
    words: list[str], beyond: set[str], say: Say, fitted: Callable[..., str]
) -> None:
    found, told = say("predict", fitted(drawn(*grid())), *words)
    marked = [text for text in found["warnings"] if text.startswith("extrapolated")]
    assert len(marked) == len(beyond)
    assert all(any(start in text for text in marked) for start in beyond)
    assert all(text in told for text in marked)


def test_counts_in_millions_and_billions_are_asked_about(say: Say, fitted: Callable[..., str]) -> None:
    n, d = grid()
    rows = [row | {"N": row["N"] / 1e6, "D": row["D"] / 1e9} for row in drawn(n, d)]
    fit = fitted(rows)
    for told in (json.loads(Path(fit).read_text())["warnings"], say("predict", fit, "C=1e21")[0]["warnings"]):
        assert any("N under 1,000?" in text for text in told)
        assert any("D under 1,000?" in text for text in told)
    assert any("times over" in text for text in say("predict", fit, "C=1e21")[0]["warnings"])


@pytest.mark.parametrize(("power", "name"), [(1.0, "D/N is 20"), (1.3, "D/N^1.3 is")])
def test_tokens_that_follow_from_parameters_identify_neither(power: float, name: str, tmp_path: Path) -> None:
    n = np.geomspace(1e7, 1e10, 20)
    rows = table.read(csv(tmp_path, drawn(n, 20 * n * (n / 1e8) ** (power - 1))), [CHINCHILLA])
    assert any(name in text and "isn't identified" in text for text in rows.warnings)
    kept = row_ranges.RowRanges.of(CHINCHILLA, rows.columns, rows.loss)
    assert row_ranges.of_rows(kept.ranges, kept.ratios) == list(rows.warnings)  # and so every prediction says it
    on, off = {"N": 1e9, "D": 20 * 1e9 * 10 ** (power - 1)}, {"N": 1e9, "D": 1e9}
    assert row_ranges.beyond(kept, on) == []
    assert any(text.startswith("extrapolated: D/N") for text in row_ranges.beyond(kept, off))


def test_a_parameter_at_a_bound_is_said_with_every_answer(say: Say, fitted: Callable[..., str], tmp_path: Path) -> None:
    fit = fitted(drawn(*grid()))
    saved = json.loads(Path(fit).read_text()) | {
        "bounds_hit": ["beta"],
        "unidentified": ["beta", "B"],
        "status": "bound_hit",
    }
    Path(fit).write_text(json.dumps(saved))
    for words in (["N=1e8", "D=2e9"], ["C=1e19"]):
        told = say("predict", fit, *words)[0]["warnings"]
        assert any("at a bound" in text and "beta" in text for text in told)
        assert any("not identified" in text and "B" in text for text in told)


def test_the_edge_of_a_search_is_no_answer(say: Say, fitted: Callable[..., str]) -> None:
    fit = fitted(drawn(*grid()), "--columns", "N_avg=N", law="N_avg")
    for words in (["loss=2.5", "T=1e12"], ["loss=2.8", "N_final=1e8"], ["loss=2.6", "T=1e10"]):
        found, told = say("predict", fit, *words)
        assert (found["sparsity"] == pytest.approx(0.95)) == ("sparsity 0.95 is the edge" in told)
    found, told = say("predict", fit, "C=1e35")
    assert found["outside"]
    assert found["a_N"] is None
    assert found["outside"][0] in found["warnings"]
    assert "edge of the search" in told


def test_a_plan_beyond_the_rows_is_marked(say: Say, fitted: Callable[..., str]) -> None:
    fit = fitted(drawn(*grid(), S=np.tile([0.0, 0.5], 10)), "--columns", "N_avg=N", law="N_avg")
    found, _ = say("predict", fit, "loss=2.05", "T=1e12")
    told = " ".join(found["warnings"])
    assert "loss = 2.05 is beyond the least" in told
    assert "S = 0.95 is beyond the largest of the fitted rows, 0.5" in told


@pytest.mark.parametrize("words", [
    ["N=-1e9", "D=1e9"], ["N=0", "D=1e9"], ["N=nan", "D=1e9"], ["N=inf", "D=1"], ["N=1e400", "D=1"], ["N=1e9", "N=2e9", "D=1"],
    ["n=1e9", "D=1e9"], ["N=1e9"], ["N=1e9", "D=1e9", "C=1e20"], ["C=-1"], ["C=1e9x"], ["loss=-1", "T=1"], ["D"],
])  # fmt: skip
def test_a_question_without_an_answer_is_refused(
    words: list[str], fitted: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", fitted(drawn(*grid())), *words]) == 2
    assert "nan" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [["loss=1.8000001", "N_final=1e8"], ["loss=1.81", "T=1e12"], ["loss=2.5", "T=-1"], ["loss=2.5"]]
)
def test_a_plan_that_no_number_holds_is_refused(words: list[str], fitted: Callable[..., str]) -> None:
    fit = fitted(drawn(*grid()), "--columns", "N_avg=N", law="N_avg")
    saved = json.loads(Path(fit).read_text())
    saved["parameters"] |= {"E": 1.8, "beta": 0.01}
    Path(fit).write_text(json.dumps(saved))
    assert main(["predict", fit, *words]) == 2


# ---------------------------------------------------------------- rows of one run


def checkpoints(**more: Any) -> list[dict[str, Any]]:
    """14 runs of ten checkpoints, each with an error of its own that all its checkpoints share."""
    n = np.repeat(np.geomspace(1e8, 1e10, 14), 10)
    rows = drawn(n, 2 * n * np.tile(np.arange(1, 11), 14), noise=0.0, **more)
    error = np.repeat(np.exp(np.random.default_rng(1).normal(0, 0.01, 14)), 10)
    return [row | {"loss": row["loss"] * e} for row, e in zip(rows, error, strict=True)]


@pytest.mark.parametrize(("rows", "cluster"), [
    (checkpoints(run=np.repeat(np.arange(14), 10)), "'run'"),
    (checkpoints(step=np.tile(np.arange(1, 11), 14)), "'N'"),
    (checkpoints(), "'N'"),
    ([row for i, row in enumerate(checkpoints()) if i % 10 in (0, 1, 3, 7)], "'N'"),  # told by their residuals
])  # fmt: skip
def test_checkpoints_of_one_run_are_noticed_and_clusters_offered(
    rows: list[dict[str, Any]], cluster: str, say: Say, tmp_path: Path
) -> None:
    found, told = say("fit", csv(tmp_path, rows), "--law", "chinchilla")
    [said] = [text for text in found["warnings"] if "equal N and settings with growing D" in text]
    assert f"--clusters {cluster}" in said
    assert said in told


@pytest.mark.parametrize("rows", [
    drawn(*grid()),
    drawn(*grid(), seed=np.arange(20)),
    checkpoints(lr=np.arange(140), run=np.arange(140)),
])  # fmt: skip
def test_separate_runs_are_not_taken_for_checkpoints(rows: list[dict[str, Any]], say: Say, tmp_path: Path) -> None:
    assert say("fit", csv(tmp_path, rows), "--law", "chinchilla")[0]["warnings"] == []


def test_clusters_settle_it(say: Say, tmp_path: Path) -> None:
    rows = checkpoints(run=np.repeat(np.arange(14), 10))
    words = ["fit", csv(tmp_path, rows), "--law", "chinchilla", "--clusters", "run"]
    assert say(*words, "--bootstrap", "100")[0]["warnings"] == []
    assert "each row by itself" in say(*words)[1]  # a profile knows nothing of clusters


# ---------------------------------------------------------------- another kind of loss


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("loss", np.exp),
        ("val_ppl", float),
        ("perplexity", float),
        ("eval/accuracy", float),
        ("loss", lambda x: 1000 * x),
    ],
)
def test_what_is_no_loss_in_nats_is_refused(
    name: str, change: Callable[[float], float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"N": r["N"], "D": r["D"], name: change(r["loss"] + 1)} for r in drawn(*grid())]
    assert main(["fit", csv(tmp_path, rows), "--law", "chinchilla", "--columns", f"loss={name}"]) == 2
    assert "nats" in capsys.readouterr().err


def test_bits_and_a_few_high_losses_are_mentioned(say: Say, tmp_path: Path) -> None:
    rows = [{"N": r["N"], "D": r["D"], "val_bits_per_byte": r["loss"] / 3} for r in drawn(*grid())]
    words = ("--law", "chinchilla", "--columns", "loss=val_bits_per_byte")
    assert "bits" in say("fit", csv(tmp_path, rows), *words)[1]
    high = [row | ({"loss": 30.0} if i == 3 else {}) for i, row in enumerate(drawn(*grid()))]
    assert "1 of 20 losses are over 12.5" in say("fit", csv(tmp_path, high, "high.csv"), "--law", "chinchilla")[1]
