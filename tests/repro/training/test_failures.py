"""What ends a run for good: it is marked with the reason, nothing hangs, and its last good checkpoint stays whole."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from repro.corpus import Corpus, build
from repro.corpus.manifest import Split
from repro.corpus.order import rows_at
from repro.corpus.packing import padding
from repro.corpus.shards import ShardWriter
from repro.resources import Resources, Stage
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import train
from tests.repro.training.failing import Make, assert_good, failed, only_in_full, step_in
from tests.repro.training.lives import assert_same, life, rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def packed(text_root: Path, text: Corpus) -> Corpus:
    """The same text in whole documents, with padding."""
    spec = replace(text.manifest.spec, packing="documents")
    return build(spec, text.manifest.vocab, text.manifest.sequence, text_root)


def of_documents(spec: RunSpec, packed: Corpus) -> RunSpec:
    return replace(spec, corpus=packed.manifest.spec, repeat=True)


def emptied(packed: Corpus, folder: Path, split: str, which: np.ndarray) -> Corpus:
    """A copy in which these rows are all padding: a whole corpus, which its hashes bear out."""
    shutil.copytree(packed.folder, folder)
    old: Split = getattr(packed.manifest, split)
    tokens = np.concatenate(getattr(packed, split).views)
    tokens[which] = padding(tokens.dtype)
    writer = ShardWriter(folder, split, tokens.shape[1], tokens.dtype, packed.manifest.shard_rows)
    writer.add(tokens)
    shards = writer.close()
    left, digest = int((tokens != padding(tokens.dtype)).sum()), hashlib.sha256(tokens.tobytes()).hexdigest()
    new = replace(old, tokens=left, sha256=digest, shards=shards)
    changed = replace(packed.manifest, train=new) if split == "train" else replace(packed.manifest, heldout=new)
    changed.write(Folder.open(folder))
    corpus = Corpus(folder)
    corpus.verify()
    assert corpus.hash != packed.hash
    return corpus


def test_a_batch_of_nothing_but_padding_fails_the_run_at_its_step(
    packed: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, folder = of_documents(make_spec(), packed), Folder.open(tmp_path / "run")
    bad = rows_at(7, spec.optimizer.batch, len(packed.train), spec.seed)
    text = emptied(packed, tmp_path / "text", "train", bad)
    with life() as found:
        reason = failed(spec, folder, text, Resources(checkpoint_every=5))
    assert "the loss is not finite" in reason
    assert "padding" in reason
    assert step_in(reason) == found.steps[-1] == 7
    assert_good(folder, [5])


def test_rows_and_micro_batches_of_nothing_but_padding_are_left_out_of_the_mean(
    packed: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec = of_documents(make_spec(), packed)
    bad = rows_at(7, spec.optimizer.batch, len(packed.train), spec.seed)[:3]
    text = emptied(packed, tmp_path / "text", "train", bad)
    found = [
        train.train(spec, Folder.open(tmp_path / str(micro)), text, Resources(micro_batch=micro)) for micro in (4, 1)
    ]
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], abs=2e-4)
    losses = [
        {r["step"]: r["loss_train"] for r in rows(Folder.open(tmp_path / str(m)), "curve.parquet")} for m in (4, 1)
    ]
    assert losses[0][8] == pytest.approx(losses[1][8], abs=2e-4)
    assert 2 < losses[0][8] < 8


def test_a_held_out_block_of_nothing_but_padding_fails_the_run_at_its_end(
    packed: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, folder = of_documents(make_spec(0.0, dense_steps=8), packed), Folder.open(tmp_path / "run")
    text = emptied(packed, tmp_path / "text", "heldout", np.arange(len(packed.heldout) // 4))
    reason = failed(spec, folder, text, Resources(checkpoint_every=3))
    assert reason == "the held-out loss is not finite after 8 steps"
    assert_good(folder, [3, 6])


# --------------------------------------------------------------------------------------- divergence and spikes


@pytest.fixture(scope="module")
def broken_at(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], str]:
    """The reason with which a run fails at stage 0, where every step is looked at when it is made."""

    known: dict[RunSpec, str] = {}

    def of(spec: RunSpec) -> str:
        if spec not in known:
            folder = Folder.open(tmp_path_factory.mktemp("broken"))
            with life() as found:
                known[spec] = failed(spec, folder, text, Resources(zero_stage=0, spike=None))
            assert step_in(known[spec]) == found.steps[-1]
        return known[spec]

    return of


@pytest.mark.parametrize("stage", [only_in_full(0), 1, only_in_full(2), only_in_full(3)])
@pytest.mark.parametrize("lr", [100.0, pytest.param(1e30, marks=pytest.mark.full)])
def test_a_learning_rate_that_is_too_large_fails_the_run_at_the_step_that_broke_it(
    lr: float, stage: Stage, text: Corpus, make_spec: Make, tmp_path: Path, broken_at: Callable[[RunSpec], str]
) -> None:
    spec, folder = make_spec(lr=lr), Folder.open(tmp_path / "run")
    expected = broken_at(spec)
    assert re.fullmatch(r"the (loss|gradient's norm) is (nan|-?inf), not finite, at step \d+", expected)
    with life() as found:
        reason = failed(spec, folder, text, Resources(zero_stage=stage, spike=None, checkpoint_every=1))
    if stage == 3:  # DeepSpeed's own norm overflows earlier, and it makes no such update
        assert reason == f"the gradient's norm is nan, not finite, at step {step_in(reason)}"
        assert step_in(reason) <= step_in(expected)
    else:
        assert reason == expected
    assert found.steps[-1] == step_in(reason)
    assert_good(folder, [step_in(reason) - 1, step_in(reason)])


def climbing(make_spec: Make, lr: float = 10.0) -> RunSpec:
    """A run that learns until its warm-up takes it past the learning rate that it bears."""
    spec = make_spec(lr=lr, dense_steps=24)
    return replace(spec, optimizer=replace(spec.optimizer, warmup=0.5))


def test_a_spike_fails_the_run_with_both_numbers_and_without_a_bound_it_goes_on_to_its_end(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, free = climbing(make_spec), Folder.open(tmp_path / "free")
    train.train(spec, free, text, Resources(spike=None))
    losses = [row["loss_train"] for row in rows(free, "curve.parquet")]
    assert len(losses) == spec.schedule.total_steps
    means = [np.mean(losses[i - 10 : i]) for i in range(10, len(losses))]  # of the ten steps before each
    lowest = np.minimum.accumulate(means)
    excess = np.array(losses[10:]) - lowest
    bound = float(excess.max()) / 2
    assert bound > 0.5, "this run has no spike"
    first = int(np.argmax(excess > bound)) + 10

    folder = Folder.open(tmp_path / "run")
    with life() as found:
        reason = failed(spec, folder, text, Resources(spike=bound, checkpoint_every=8))
    assert "spike" in reason
    assert f"{losses[first]:.3f}" in reason
    assert f"{lowest[first - 10]:.3f}" in reason
    assert f"at step {first}:" in reason
    assert found.steps[-1] == first
    saved = list(range(8, first + 1, 8))[-2:]
    assert_good(folder, saved)

    with life() as again:
        train.train(spec, folder, text, Resources(spike=None))
    assert again.steps[0] == saved[-1]
    assert RunFolder(folder).status()["state"] == "done"
    assert_same(folder, free, "after a spike that was let pass")


def test_the_default_bound_lets_a_sound_run_pass_and_a_narrow_one_does_not(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec = make_spec(dense_steps=24)
    row = train.train(spec, Folder.open(tmp_path / "sound"), text, Resources())
    assert row["loss"] < 6
    assert "spike" in failed(spec, Folder.open(tmp_path / "narrow"), text, Resources(spike=0.01))
