from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.laws.formulas import declared, formula, written
from analysis.laws.registry import LAWS
from analysis.tables import data, table
from analysis.tables.post_training import curve_points
from analysis.worlds import simulated_sweep, simulated_table
from repro.store.folder import Folder


@pytest.mark.parametrize("name", [*LAWS, *written.SHIPPED])
def test_what_was_drawn_without_noise_is_found_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    file = str(tmp_path / "drawn.csv")
    law = LAWS[name] if name in LAWS else declared.law_of(formula.read(written.shipped(name), ()), {})
    assert main(["simulate", "--law", name, "--sigma", "0", file]) == 0
    assert "rows, losses" in capsys.readouterr().out or law.unit != "nats"
    assert main(["fit", file, "--law", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mean_relative_error"] < 1e-6
    assert found["unidentified"] == []
    true = dict(zip(law.names, simulated_table.truth(law), strict=True))
    if name == "sparse_interaction":  # other values of its last three parameters fit as well to a millionth of the loss
        true = {parameter: true[parameter] for parameter in ("E", "A", "B", "alpha", "beta")}
    assert {parameter: found["parameters"][parameter] for parameter in true} == pytest.approx(true, rel=2e-2)
    assert not recwarn


@pytest.mark.parametrize("name", written.SHIPPED)
def test_noise_leaves_every_parameter_of_a_drawn_law_file_known(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "drawn.csv")
    law = declared.law_of(formula.read(written.shipped(name), ()), {})
    assert main(["simulate", "--law", name, "--seed", "1", file]) == 0
    capsys.readouterr()
    assert main(["fit", file, "--law", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for parameter, true in zip(law.names, simulated_table.truth(law), strict=True):
        low, high = found["profile"][parameter]
        wide = high - low
        assert low - wide < true < high + wide
        assert wide < max(0.6 * abs(true), 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_drawn_table_is_one_that_fit_reads(ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "deep" / f"drawn{ending}"
    assert main(["simulate", "--law", "sparse", "--parameters", "b_S=0.5", "--rows", "40", str(file)]) == 0
    assert "b_S 0.5" in capsys.readouterr().out
    assert len(table.read(str(file), [LAWS["sparse"]])) == 40
    assert main(["fit", str(file), "--law", "sparse"]) == 0


@pytest.mark.slow
def test_a_drawn_sweep_is_one_that_claims_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--law", "N_final", "--sigma", "0.002", str(tmp_path / "world")]) == 0
    capsys.readouterr()
    assert main(["claims", str(tmp_path / "world"), "--bootstrap", "100", "--json"]) == 0
    ruled = {verdict["claim"]: verdict["ruled"] for verdict in json.loads(capsys.readouterr().out)}
    assert ruled["b"] == ruled["f"] == "not reproduced"


def test_a_drawn_study_of_pruned_models_is_one_that_the_analysis_reads(tmp_path: Path) -> None:
    words = ["simulate", "--law", "post_training_pruning", "--parameters", "gamma=-1", str(tmp_path / "world")]
    assert main(words) == 0
    points = curve_points(data.load(Folder.open(tmp_path / "world")))
    assert len(points.methods) == 3
    assert main(words) == 0  # it was drawn itself


def test_the_seed_makes_the_noise(tmp_path: Path) -> None:
    drawn = []
    for seed in (0, 0, 1):
        assert main(["simulate", "--law", "chinchilla", "--seed", str(seed), str(tmp_path / "t.csv")]) == 0
        drawn.append((tmp_path / "t.csv").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--law", "precision", "OUT"], "can't be drawn"),
        (["--law", "N_avg", "--parameters", "gamma=1", "OUT.csv"], "parameters.gamma"),
        (["--law", "N_avg", "--parameters", "E=low", "OUT.csv"], "--parameters E"),
        (["--law", "N_avg", "--sigma", "-1", "OUT.csv"], "--sigma"),
        (["--law", "N_avg", "--rows", "3", "OUT.csv"], "--rows"),
        (["--law", "accuracy", "OUT"], "can't be drawn"),
        (["--formula", "LAW.yaml", "--parameters", "E=1,A=9,a=.3", "OUT.csv"], "a column that simulate can't draw"),
    ],
)
def test_what_a_user_gets_wrong_is_said_with_exit_code_2_and_nothing_is_written(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "LAW.yaml").write_text("formula: E + A/width^a\ncolumns: {width: of a layer}\n")
    assert main(["simulate", *words]) == 2
    assert said in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["LAW.yaml"]


def test_a_real_sweep_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulated_sweep.write(Folder.open(tmp_path), simulated_sweep.simulate(simulated_sweep.Truth())[:3])
    words = ["simulate", "--law", "N_avg", str(tmp_path)]
    assert main(words) == 0  # it was drawn itself
    Folder.open(tmp_path).write_json("sweep.json", {"name": "laptop", "corpus": {"name": "botocore"}})
    before = (tmp_path / "runs.parquet").read_bytes()
    assert main(words) == 2
    assert "the folder holds a real sweep" in capsys.readouterr().err
    assert (tmp_path / "runs.parquet").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ["--sigma", "nan", "OUT.csv"],
        ["--sigma", "inf", "OUT.csv"],
        ["--sigma", "1e9", "OUT.csv"],
        ["--seed", "-1", "OUT.csv"],
        ["--parameters", "A=-5", "OUT.csv"],
        ["--parameters", "E=nan", "OUT.csv"],
        ["--parameters", "E=1,E=2", "OUT.csv"],
        ["--rows", "60", "OUT"],
        ["OUT.csv.gz"],
        ["OUT.jsonl"],
        ["OUT.xlsx"],
        ["s3://bucket/OUT.csv"],
    ],
)
def test_a_table_that_cant_be_drawn_is_refused_and_nothing_is_written(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--law", "N_avg", *words]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_somebody_is_never_written_over(tmp_path: Path) -> None:
    words = ["simulate", "--law", "chinchilla", str(tmp_path / "runs.CSV")]
    for there in ("N,D,loss\n1e6,2e7,5.1\n", "mine\n", ""):
        (tmp_path / "runs.CSV").write_text(there)
        assert main(words) == 2
        assert (tmp_path / "runs.CSV").read_text() == there
    (tmp_path / "runs.CSV").unlink()
    assert main(words) == main(words) == 0  # what was drawn may be drawn again
