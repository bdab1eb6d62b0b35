"""Evidence is small, holds no path of the machine, and says the same when it is read again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analysis.__main__ import main
from analysis.tables import data
from analysis.verbs import keep
from repro import tables
from repro.errors import UserError
from repro.store.folder import Folder


@pytest.fixture
def reported(results: Path, tmp_path: Path) -> Path:
    """A simulated sweep's folder with what `report` writes beside the tables."""
    folder = tmp_path / "swept"
    shutil.copytree(results, folder)
    for name in ("claims.json", "noise.json"):
        (folder / name).write_text("[]")
    (folder / "figures").mkdir()
    (folder / "figures" / "law.png").write_bytes(b"png")
    (folder / "figures" / "law.pdf").write_bytes(b"pdf")
    (folder / "figures" / "law.csv").write_text("loss\n3\n")
    (folder / "figures" / "nothing.png").write_bytes(b"png")
    (folder / "figures" / "nothing.csv").write_text("")
    made = json.loads((folder / "sweep.json").read_text())
    made |= {
        "file": "/home/someone/sweeps/laptop.yaml",
        "versions": {"torch": "2.13.0+cpu"},
        "failed": [
            {"run_id": "one", "reason": "OSError: no space (/tmp/x/y.bin), see https://example.org/a/b; 25/50/25"}
        ],
    }
    (folder / "sweep.json").write_text(json.dumps(made))
    return folder


def test_the_same_can_be_said_of_what_is_kept(
    reported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "evidence"
    assert main(["keep", str(reported), str(out)]) == 0
    assert "runs.parquet: 152 rows" in capsys.readouterr().out
    kept, whole = (data.load(Folder.open(folder)) for folder in (out, reported))
    for name, values in whole.runs.columns.items():
        assert list(map(str, values)) == list(map(str, kept.runs[name]))
    assert sum(f.stat().st_size for f in out.glob("*.parquet")) <= keep.LIMIT
    assert {f.name for f in out.rglob("*") if f.is_file()} == {
        "runs.parquet", "curves.parquet", "layers.parquet", "sweep.json", "claims.json", "noise.json", "law.png",
    }  # fmt: skip


def test_no_path_of_this_machine_is_kept(reported: Path, tmp_path: Path) -> None:
    assert main(["keep", str(reported), str(tmp_path / "out")]) == 0
    made = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert made["file"] == "laptop.yaml"
    assert made["failed"][0]["reason"] == "OSError: no space (y.bin), see https://example.org/a/b; 25/50/25"
    assert made["versions"] == {"torch": "2.13.0+cpu"}


def test_curves_lose_unread_columns_first_then_points(
    reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Folder.open(reported)
    curves = tables.read(source, "curves.parquet", "curves")
    noise = np.random.default_rng(0).standard_normal(len(curves))
    at = curves.schema.get_field_index("grad_norm")
    tables.write_arrow(source, "curves.parquet", curves.set_column(at, curves.schema.field(at), pa.array(noise)))
    whole = sum(f.stat().st_size for f in reported.glob("*.parquet"))
    monkeypatch.setattr(keep, "LIMIT", whole - 20_000)
    out = Folder.open(tmp_path / "out")
    assert "curves.parquet: " in (said := next(line for line in keep.keep(source, out) if line.startswith("curves")))
    assert said.endswith("without lr, grad_norm, ms")
    kept = tables.read(out, "curves.parquet", "curves")
    assert kept["grad_norm"].null_count == len(kept) == len(curves)
    assert kept["loss_train"].equals(curves["loss_train"])

    monkeypatch.setattr(keep, "POINTS", (10,))
    monkeypatch.setattr(keep, "LIMIT", 150_000)
    assert any("10 points a run" in line for line in keep.keep(source, out))
    run = curves["run_id"][0].as_py()
    steps, left = (
        [row["step"] for row in table.to_pylist() if row["run_id"] == run]
        for table in (curves, tables.read(out, "curves.parquet", "curves"))
    )
    assert (left[0], left[-1], len(left)) == (steps[0], steps[-1], 10)
    assert set(left) < set(steps)


def test_what_cannot_be_small_is_refused(reported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "LIMIT", 10_000)
    with pytest.raises(UserError, match="too large to keep"):
        list(keep.keep(Folder.open(reported), Folder.open(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_a_sweep_that_was_not_reported_is_refused(reported: Path, tmp_path: Path) -> None:
    (reported / "noise.json").unlink()
    assert main(["keep", str(reported), str(tmp_path / "out")]) == 2


def test_another_sweeps_evidence_is_not_written_over(reported: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sweep.json").write_text('{"name": "other"}')
    assert main(["keep", str(reported), str(tmp_path / "out")]) == 2
