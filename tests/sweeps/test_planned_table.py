"""A sweep's plan as a table, of which the analysis tells what it can show before anything is trained."""

from pathlib import Path

import pytest

from analysis.__main__ import main as analysis
from repro import tables
from repro.store.folder import Folder
from sweeps.__main__ import main
from sweeps.grid import expand

QUICK = Path(__file__).parents[2] / "sweeps" / "quick.yaml"


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    out = tmp_path / "planned"
    assert main(["expand", str(QUICK), "--out", str(out)]) == 0
    return out


def test_the_table_holds_every_run_as_planned_and_no_result(planned: Path) -> None:
    rows = tables.read(Folder.open(planned), "runs.parquet", "runs").to_pylist()
    runs = expand(QUICK).runs
    assert [(r["fingerprint"], tuple(r["studies"])) for r in rows] == [(r.spec.fingerprint, r.studies) for r in runs]
    assert {r["loss"] for r in rows} == {None}
    assert all(r["N_avg"] for r in rows)
    assert main(["expand", str(QUICK), "--out", str(planned)]) == 0  # a plan may be written again


@pytest.mark.slow
def test_what_it_can_show_is_told_with_a_noise_and_only_with_one(
    planned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analysis(["power", str(planned), "--sigma", "0.005", "--worlds", "1"]) == 0
    said = capsys.readouterr().out
    assert "σ 0.0050 nats, drawn from a normal distribution" in said
    assert "(f)" in said
    assert not (planned / "power.json").exists()
    assert analysis(["power", str(planned)]) == 2
    assert "--sigma" in capsys.readouterr().err


@pytest.mark.full
def test_what_a_claim_of_little_power_needs_is_told_when_asked(
    planned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert analysis(["power", str(planned), "--sigma", "0.005", "--worlds", "1", "--needs"]) == 0
    assert "(d) power 0%" in (said := capsys.readouterr().out)
    assert "more seeds don't help, as its rule reads one of each run" in said


def test_results_are_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Folder.open(tmp_path).write_json("sweep.json", {"name": "trained"})
    assert main(["expand", str(QUICK), "--out", str(tmp_path)]) == 2
    assert "the folder holds results already" in capsys.readouterr().err
    assert not (tmp_path / "runs.parquet").exists()
