"""A run goes on with other workers at another ZeRO stage: what it loads is what was saved, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from repro.corpus import Corpus
from repro.pruning.pruner import Pruner
from repro.resources import Resources, Stage
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training import checkpoint, masters, train
from repro.training.checkpoint_manifest import name_of
from repro.training.masters import MOMENTS
from repro.training.zero import DeepSpeedEngine
from tests import workers
from tests.repro.training.lives import life, stopped

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]
State = dict[str, torch.Tensor]
Layout = tuple[int, Stage]  # workers and ZeRO stage
EVERY, STOP = 10, 20  # an event comes before step 20 of 60, the last one before step 28
NOISE = 1e-4  # nats, of summing gradients in another order


def state_of(engine: DeepSpeedEngine, pruner: Pruner) -> dict[str, Any]:
    """Copies of what this rank holds: its parts of masters and moments, all masks, and whole weights. Collective."""
    parts = [
        [f.name, key, f.offset, tensor.clone()]
        for f in engine.fragments()
        for key, tensor in (("master", f.master), *f.moments.items())
    ]
    weights = {}
    for name, parameter in engine.module.named_parameters():
        with masters.whole(parameter, write=True):
            weights[name] = parameter.detach().clone()
    removed = [] if pruner.removals is None else [digit.buffer for digit in pruner.removals.digits]
    masks = torch.cat([pruner.masks.buffer, *removed])
    return {"parts": parts, "masks": masks, "weights": weights, "updates": engine.updates()}


def piece(spec: RunSpec, folder: str, corpus: str, resources: Resources, stop: int | None) -> dict[str, Any]:
    """Trains on this rank, until `stop` or to the end. Returns what was saved and loaded on the way, and the loss."""
    found: dict[str, Any] = {"saved": {}, "loaded": None, "first": None, "loss": None}
    save, restore = checkpoint.save, checkpoint.restore

    def seen_saving(place: Folder, engine: DeepSpeedEngine, pruner: Pruner, step: int, *rest: Any) -> None:
        found["saved"][step] = state_of(engine, pruner)
        save(place, engine, pruner, step, *rest)

    def seen_loading(
        place: Folder, engine: DeepSpeedEngine, pruner: Pruner, identity: str
    ) -> checkpoint.Restored | None:
        restored = restore(place, engine, pruner, identity)
        if restored is not None:
            found["loaded"] = state_of(engine, pruner)
        return restored

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", seen_saving)
        patch.setattr(checkpoint, "restore", seen_loading)
        run = spec, Folder.open(folder), Corpus(Path(corpus)), resources
        if stop is not None:
            stopped(*run, stop)
            return found
        with life() as lived:
            found["loss"] = train.train(*run)["loss"]
        found["first"] = lived.steps[0]
    return found


# Weights that return as they were removed last, with two events before step 20.
RETURNING = {
    "shape": "pieces",
    "pieces": ((0, 1.0), (8, 0.4), (16, 0.2), (24, 0.5), (28, 0.8)),
    "choose": "last",
    "fill": "draw",
    "distribution": "uniform",
}


def trained(
    layout: Layout, spec: RunSpec, folder: Path, text: Corpus, stop: int | None = None, micro: int | None = None
) -> list[dict[str, Any]]:
    """`piece` on every rank: in this very process when it is one."""
    world, stage = layout
    resources = Resources(workers=world, zero_stage=stage, checkpoint_every=EVERY, micro_batch=micro)
    work = (spec, str(folder), str(text.folder), resources, stop)
    return [piece(*work)] if world == 1 else workers.run(world, piece, *work)


def gathered(ranks: list[dict[str, Any]]) -> State:
    """The state of all ranks together, by what it is; every weight must be held, and alike by all who hold it."""
    weights, result = ranks[0]["weights"], {}
    for key in ("master", *MOMENTS):
        for name, weight in weights.items():
            whole = torch.full((weight.numel(),), torch.nan)
            for _, _, offset, part in (p for r in ranks for p in r["parts"] if p[:2] == [name, key]):
                there = whole.narrow(0, offset, part.numel())
                assert torch.equal(there.where(~there.isnan(), part), part), f"ranks differ in {key} of {name}"
                there.copy_(part)
            assert not whole.isnan().any(), f"nobody holds all of {key} of {name}"
            result[f"{key} of {name}"] = whole
    for rank in ranks:
        for name, weight in weights.items():
            assert torch.equal(rank["weights"][name], weight), f"ranks differ in {name}"
        assert torch.equal(rank["masks"], ranks[0]["masks"]), "ranks differ in masks"
        assert rank["updates"] == ranks[0]["updates"]
    result |= {f"weights of {name}": weight for name, weight in weights.items()}
    return result | {"masks": ranks[0]["masks"], "updates": torch.tensor(ranks[0]["updates"])}


def assert_loaded(saved: State, loaded: State) -> None:
    assert list(saved) == list(loaded)
    for what, tensor in saved.items():
        assert torch.equal(tensor, loaded[what]), f"{what} changed on the way"
    moving = [what for what in saved if what.startswith(("master", "exp_avg"))]
    assert all(saved[what].any() for what in moving), "what was saved had not been trained"
    assert (saved["masks"] != 255).any(), "what was saved had not been pruned"


@pytest.fixture(scope="module")
def reference(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], float]:
    """The held-out loss of a run on one worker that nobody stopped; trained once for every spec."""
    known: dict[RunSpec, float] = {}

    def of(spec: RunSpec) -> float:
        if spec not in known:
            folder = Folder.open(tmp_path_factory.mktemp("whole"))
            known[spec] = train.train(spec, folder, text, Resources())["loss"]
        return known[spec]

    return of


FULL = pytest.mark.full
CUTS = [
    pytest.param((2, 2), (1, 1), "fp32", id="2 workers at stage 2, then 1 at stage 1"),
    pytest.param((1, 3), (1, 0), "fp32", id="stage 3, then stage 0"),
    pytest.param((1, 1), (2, 2), "fp32", id="1 worker at stage 1, then 2 at stage 2", marks=FULL),
    pytest.param((2, 2), (4, 1), "fp32", id="2 workers at stage 2, then 4 at stage 1", marks=FULL),
    pytest.param((2, 3), (1, 0), "fp32", id="2 workers at stage 3, then 1 at stage 0", marks=FULL),
    pytest.param((1, 0), (2, 3), "fp32", id="1 worker at stage 0, then 2 at stage 3", marks=FULL),
    pytest.param((4, 3), (2, 1), "fp32", id="4 workers at stage 3, then 2 at stage 1", marks=FULL),
    pytest.param((2, 0), (2, 2), "bf16", id="2 workers at stage 0, then at stage 2, in bf16", marks=FULL),
    pytest.param((2, 2), (1, 3), "bf16", id="2 workers at stage 2, then 1 at stage 3, in bf16", marks=FULL),
]
CUTS = [pytest.param(*cut.values, {}, id=cut.id, marks=cut.marks) for cut in CUTS]
CUTS += [
    pytest.param((2, 3), (1, 0), "fp32", RETURNING, id="weights that return, 2 workers, then 1", marks=FULL),
    pytest.param((1, 1), (4, 2), "fp32", RETURNING, id="weights that return, 1 worker, then 4", marks=FULL),
]


@pytest.mark.parametrize(("before", "after", "precision", "pruning"), CUTS)
def test_a_run_goes_on_with_other_workers_and_another_stage(
    before: Layout,
    after: Layout,
    precision: str,
    pruning: dict[str, Any],
    text: Corpus,
    make_spec: Make,
    tmp_path: Path,
    reference: Callable[[RunSpec], float],
) -> None:
    spec = make_spec(dense_steps=24, precision=precision, **pruning)
    firsts = trained(before, spec, tmp_path / "run", text, stop=STOP)
    seconds = trained(after, spec, tmp_path / "run", text)
    assert {s["first"] for s in seconds} == {STOP}
    assert_loaded(gathered([f["saved"][STOP] for f in firsts]), gathered([s["loaded"] for s in seconds]))
    assert len({s["loss"] for s in seconds}) == 1
    off = abs(seconds[0]["loss"] - reference(spec))
    print(f"{before} then {after} in {precision}: off by {off:.1e} nats")
    assert off < (NOISE if precision == "fp32" else 50 * NOISE)


@pytest.mark.full
def test_ranks_agree_to_pass_over_a_checkpoint_in_which_one_of_them_alone_finds_damage(
    text: Corpus, make_spec: Make, tmp_path: Path, reference: Callable[[RunSpec], float]
) -> None:
    spec, folder = make_spec(dense_steps=24), tmp_path / "run"
    firsts = trained((1, 1), spec, folder, text, stop=STOP)
    damaged = folder / "checkpoint" / name_of(STOP) / "rank-0.safetensors"  # the second of three files: rank 1 reads it
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x7f")
    seconds = trained((2, 2), spec, folder, text)
    assert {s["first"] for s in seconds} == {EVERY}
    assert_loaded(gathered([f["saved"][EVERY] for f in firsts]), gathered([s["loaded"] for s in seconds]))
    assert abs(seconds[0]["loss"] - reference(spec)) < NOISE
