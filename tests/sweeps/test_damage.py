"""What `sweeps run` does with a results folder that is damaged: it says what, trains that again and loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from sweeps import grid, results_folder, run, sweep_json
from sweeps.grid import Sweep
from tests.repro.store.runs import TEXT, finished
from tests.sweeps.tiny import declare


@pytest.fixture
def trained(tmp_path: Path) -> Sweep:
    """A sweep of which every run says that it is done."""
    sweep = grid.expand(declare(tmp_path))
    for planned in sweep.runs:
        finished(tmp_path / "results" / "tiny" / "runs" / planned.spec.run_id, planned.spec)
    return sweep


def left(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What would be trained."""
    assert run.dry_run(sweep) == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]


def specs(sweep: Sweep) -> list[RunSpec]:
    return [planned.spec for planned in sweep.runs]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no row": lambda folder: (folder / "run.parquet").unlink(),
    "an altered curve": lambda folder: (folder / "curve.parquet").write_bytes(b"PAR1"),
    "half a status": lambda folder: (folder / "status.json").write_bytes(b'{"state": "do'),
    "a status of nonsense": lambda folder: (folder / "status.json").write_text('{"state": "done", "updated": "now"}'),
}


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE)
def test_a_run_that_is_damaged_is_trained_again_and_the_others_are_not(
    spoil: Callable[[Path], object], trained: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(trained, capsys) == []
    one, *others = specs(trained)
    place = Folder.open(tmp_path / "results" / "tiny")
    spoil(tmp_path / "results" / "tiny" / "runs" / one.run_id)
    assert left(trained, capsys) == [one.run_id]
    assert not results_folder.is_done(place, one, TEXT)
    said = capsys.readouterr().out
    assert f"{one.run_id}: " in said
    assert "resumes from its last checkpoint" in said
    assert all(results_folder.is_done(place, spec, TEXT) for spec in others)
    assert RunFolder(place / "runs" / one.run_id).status()["state"] == "failed"  # so no other driver takes it for done
    assert capsys.readouterr().out == ""


def test_runs_whose_folders_were_exchanged_are_refused(trained: Sweep, tmp_path: Path) -> None:
    a, b, *_ = (tmp_path / "results" / "tiny" / "runs" / spec.run_id for spec in specs(trained))
    a.rename(tmp_path / "a")
    b.rename(a)
    (tmp_path / "a").rename(b)
    with pytest.raises(UserError, match="two different specs with one id"):
        run.dry_run(trained)


@pytest.mark.parametrize("data", [b"", b"[]x", b"[1]", b"[" * 10**5])
def test_a_damaged_sweep_json_is_refused_with_what_to_do(data: bytes, trained: Sweep, tmp_path: Path) -> None:
    file = tmp_path / "results" / "tiny" / sweep_json.FILE
    file.write_bytes(data)
    with pytest.raises(UserError, match="move it away"):
        run.dry_run(trained)
    assert file.read_bytes() == data
