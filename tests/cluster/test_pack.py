"""What goes along with a submitted sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.pack import ROOT, SUBMITTED, files, pack
from repro.errors import UserError
from sweeps import grid


def test_the_checkout_goes_without_data_results_and_hidden_folders(tmp_path: Path) -> None:
    for name in ("data/x/train.arrow", "results/quick/runs.parquet", ".venv/bin/python", ".git/HEAD", ".cache/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "repro" / "__pycache__").mkdir(parents=True)
    (tmp_path / "repro" / "__pycache__" / "train.pyc").touch()
    (tmp_path / "repro" / "train.py").touch()
    assert [path.relative_to(tmp_path).as_posix() for path in files(tmp_path)] == ["repro/train.py"]


def test_a_sweep_of_the_checkout_keeps_its_place(tmp_path: Path) -> None:
    assert pack(ROOT / "sweeps" / "quick.yaml", tmp_path) == "sweeps/quick.yaml"
    assert (tmp_path / "sweeps" / "quick.yaml").read_bytes() == (ROOT / "sweeps" / "quick.yaml").read_bytes()
    assert (tmp_path / "requirements.lock").exists()


def test_a_sweep_from_elsewhere_goes_along_with_what_it_extends(tmp_path: Path) -> None:
    mine, target = tmp_path / "mine.yaml", tmp_path / "packed"
    mine.write_text(f"extends: {ROOT}/sweeps/laptop.yaml\nname: mine\n")
    file = target / pack(mine, target)
    assert file.parent.name == SUBMITTED
    assert grid.expand(file).name == "mine"
    assert grid.expand(file).runs == grid.expand(mine).runs


def test_too_much_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    checkout, target = tmp_path / "checkout", tmp_path / "packed"
    checkout.mkdir()
    with (checkout / "weights.bin").open("wb") as stream:
        stream.truncate(200 * 2**20)
    with pytest.raises(UserError, match=r"weights.bin \(200 MiB\)"):
        pack(ROOT / "sweeps" / "quick.yaml", target, checkout)
    assert not target.exists()
