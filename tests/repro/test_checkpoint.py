"""Checkpoints count only when they are whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from repro import train, trainer
from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.storage import Folder


@pytest.fixture
def finished(text: Corpus, make_spec: Callable[..., RunSpec], tmp_path: Path) -> tuple[RunSpec, Path, dict]:
    spec = make_spec()
    row = train.train(spec, Folder.open(tmp_path / "run"), text, Resources())
    [place] = (tmp_path / "run" / "checkpoint").iterdir()
    return spec, place, row


def test_masks_rest_at_one_bit_a_weight(finished: tuple[RunSpec, Path, dict]) -> None:
    spec, place, _ = finished
    packed = sum(t.numel() for t in load_file(place / "masks.safetensors").values())
    assert packed * 8 <= 1.01 * spec.model.shape.prunable


@pytest.mark.parametrize("damage", ["truncated", "altered", "missing", "no manifest"])
def test_a_damaged_checkpoint_is_passed_over_and_the_run_trains_again(
    damage: str, finished: tuple[RunSpec, Path, dict], text: Corpus
) -> None:
    spec, place, row = finished
    file = place / "rank-0.safetensors"
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-7])
    elif damage == "altered":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(bytes(data))
    elif damage == "missing":
        file.unlink()
    else:
        (place / "manifest.json").unlink()
    again = train.train(spec, Folder.open(place.parent.parent), text, Resources())
    assert again["loss"] == row["loss"]


def test_a_whole_checkpoint_of_the_last_step_is_all_that_is_needed(
    finished: tuple[RunSpec, Path, dict], text: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, place, row = finished
    monkeypatch.setattr(trainer.Trainer, "_step", lambda *_: pytest.fail("a step was trained again"))
    assert train.train(spec, Folder.open(place.parent.parent), text, Resources())["loss_blocks"] == row["loss_blocks"]
