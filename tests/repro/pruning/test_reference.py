"""The trainer follows a plain reference step by step: the same losses, the same weights removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from repro import tables
from repro.corpus import Corpus, build
from repro.resources import Resources
from repro.spec import CorpusSpec, ModelSpec, MovesSpec, RunSpec
from repro.store.folder import Folder
from repro.training import model, train
from repro.training.checkpoint_manifest import name_of
from tests import reference
from tests.repro.pruning.engines import opened, update

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]
VOCAB, SEQUENCE = 300, 32


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Made-up text, the same wherever the tests run: every word has four that may follow it."""
    folder, draw = tmp_path_factory.mktemp("words"), Random(0).random
    vocabulary = [
        "".join("bdfgklmnprstvz"[int(14 * draw())] + "aeiou"[int(5 * draw())] for _ in range(2)) for _ in range(99)
    ]
    follow = [[int(99 * draw()) for _ in range(4)] for _ in vocabulary]
    documents, at = [], 0
    for _ in range(400):
        walk = [at := follow[at][int(4 * draw())] for _ in range(120)]
        documents.append(json.dumps({"text": " ".join(vocabulary[word] for word in walk)}))
    (folder / "words.jsonl").write_text("\n".join(documents))
    return build(CorpusSpec("files", "words", paths=(str(folder / "words.jsonl"),)), VOCAB, SEQUENCE, folder / "data")


def enlarged(spec: RunSpec, text: Corpus) -> RunSpec:
    """The same on `text` with 126 k prunable weights, so that one of 10⁵ is one too many."""
    return replace(spec, model=ModelSpec(64, 2, 2, 192, VOCAB, SEQUENCE), corpus=text.manifest.spec)


def batches(text: Corpus, spec: RunSpec) -> list[torch.Tensor]:
    rows = [text.batch(step, spec.optimizer.batch, spec.seed) for step in range(spec.schedule.total_steps)]
    return [torch.from_numpy(of_step.astype("int64")) for of_step in rows]


def referred(text: Corpus, spec: RunSpec, dtype: torch.dtype) -> tuple[list[float], dict[str, torch.Tensor]]:
    network: torch.nn.Module = model.build(spec.model, spec.seed)
    network.to(dtype)
    return reference.train(network, batches(text, spec), spec)


def small(make_spec: Make, words: Corpus) -> RunSpec:
    """A run of 4 k weights, of which the nearest two to a threshold lie 2e-5 apart."""
    return replace(make_spec(0.75, dense_steps=40, interval=6, lr=2e-3, seed=5), corpus=words.manifest.spec)


def large(make_spec: Make, words: Corpus) -> RunSpec:
    """A run of 126 k weights and 300 steps, of which the nearest two to a threshold lie 6e-7 apart."""
    return enlarged(make_spec(0.75, dense_steps=136, interval=12, lr=2e-3, seed=103), words)


@pytest.mark.parametrize(
    ("declare", "steps"), [(small, 84), pytest.param(large, 300, marks=pytest.mark.full)], ids=["4k", "126k"]
)
def test_a_run_has_the_losses_and_masks_of_the_reference(
    declare: Callable[[Make, Corpus], RunSpec], steps: int, words: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    # In fp32 two weights that lie within rounding of a threshold may change places, and a run that keeps the other
    # one goes another way. Rounding moves none by more than 2e-7.
    spec = declare(make_spec, words)
    assert spec.schedule.total_steps == steps
    folder = Folder.open(tmp_path / "run")
    train.train(spec, folder, words, Resources())
    losses, masks = referred(words, spec, torch.float32)
    curve = tables.read(folder, "curve.parquet").to_pylist()
    assert [row["step"] for row in curve] == list(range(1, steps + 1))
    assert np.abs(np.array([row["loss_train"] for row in curve]) - losses).max() < 1e-5
    saved = load_file(tmp_path / "run" / "checkpoint" / name_of(steps) / "masks.safetensors")
    assert set(saved) == set(masks)
    differing = 0
    for name, mask in masks.items():
        bits = np.unpackbits(saved[name].numpy(), count=mask.numel(), bitorder="little")
        differing += int((bits != mask.flatten().numpy()).sum())
    assert differing <= 1e-5 * spec.model.shape.prunable


PIECES = ((0, 0.4), (20, 0.6), (30, 0.3), (40, 0.7), (50, 0.9))


@pytest.mark.parametrize(
    "pruning",
    [
        {"sparsity": 0.8},
        {"sparsity": 0.7, "shape": "pieces", "pieces": PIECES, "choose": "gradient"},
        {"sparsity": 0.7, "shape": "constant", "moves": MovesSpec(15, 0.3, return_="gradient")},
    ],
    ids=["falling", "rising by gradient", "RigL"],
)
def test_in_double_precision_the_masks_agree_in_every_weight(
    pruning: dict[str, Any], words: Corpus, make_spec: Make
) -> None:
    spec = replace(make_spec(**{"dense_steps": 30, "interval": 4, "lr": 2e-3, **pruning}), corpus=words.manifest.spec)
    with opened(spec, stage=0, dtype=torch.float64) as (engine, pruner):
        engine._made.enable_backward_allreduce = (
            False  # one worker has nothing to reduce; DeepSpeed refuses float64 there
        )
        ours = []
        for step in range(spec.schedule.total_steps):
            if (event := spec.schedule.event_at(step)) is not None:
                pruner.event(event, partial(engine.gradients, partial(update, engine, words, spec, step)))
            ours.append(update(engine, words, spec, step))
        masks = {name: pruner.masks.full(name, torch.float64) for name in pruner.sizes}
    theirs, expected = referred(words, spec, torch.float64)
    assert np.abs(np.array(ours) - theirs).max() < 1e-7
    assert all(torch.equal(masks[name], mask) for name, mask in expected.items())
    assert spec.schedule.events >= 5
    assert 0 < sum(int(mask.sum()) for mask in masks.values()) == spec.schedule.n_final(pruner.total)
