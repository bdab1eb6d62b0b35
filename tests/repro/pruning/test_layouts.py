"""One saved state, pruned in every layout: ZeRO stage, precision and worker count change no bit of any mask."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training import checkpoint, model, train
from repro.training.checkpoint_manifest import examine, name_of
from tests import workers
from tests.repro.pruning.engines import is_clean, opened, update

pytestmark = pytest.mark.slow

STEPS, UPDATES = 24, 8
Make = Callable[..., RunSpec]
Layout = tuple[int, str]  # ZeRO stage and precision
LAYOUTS: list[Layout] = list(itertools.product((0, 1, 2, 3), ("fp32", "bf16")))
SAMPLE: list[Layout] = [(0, "fp32"), (1, "bf16"), (2, "fp32"), (3, "bf16")]


@pytest.fixture(scope="module")
def trained(text: Corpus, make_spec: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a dense run in fp32: masters and moments that have been trained."""
    folder = tmp_path_factory.mktemp("dense")
    train.train(make_spec(0.0, dense_steps=STEPS), Folder.open(folder), text, Resources())
    return folder / "checkpoint" / name_of(STEPS)


@pytest.fixture
def specs(make_spec: Make) -> dict[str, RunSpec]:
    return {precision: make_spec(precision=precision) for precision in ("fp32", "bf16")}


def coarse(masters: torch.Tensor) -> torch.Tensor:
    """Rounded to 256ths, so that many are equal and ties cross tensors and ranks."""
    return (masters * 256).round() / 256


def by_sorting(trained: Path, spec: RunSpec) -> torch.Tensor:
    """(events, bytes): packed masks of a plain sort of the saved masters made coarse, ties by position."""
    saved = load_file(trained / "rank-0.safetensors")
    masters = {name: saved[f"master/{name}"] for name in model.prunable(model.build(spec.model, spec.seed))}
    weights = coarse(torch.cat(list(masters.values()))).abs()
    order = weights.sort(descending=True, stable=True).indices
    assert len(weights.unique()) < len(weights) / 10
    events = []
    for event in range(spec.schedule.events):
        mask = torch.zeros(len(order), dtype=torch.bool)
        mask[order[: spec.schedule.kept(event, len(order))]] = True
        parts = mask.split([master.numel() for master in masters.values()])
        events.append(np.concatenate([np.packbits(part.numpy(), bitorder="little") for part in parts]))
    return torch.from_numpy(np.stack(events))


def in_layout(layout: Layout, specs: dict[str, RunSpec], trained: Path, text: Corpus) -> dict[str, Any]:
    """Every event in turn on the saved state, then updates; what each event left, and what the updates did."""
    (stage, precision), place = layout, Folder.open(trained)
    spec = specs[precision]
    with opened(spec, stage) as (engine, pruner):
        manifest, fault = examine(place)
        assert fault is None
        checkpoint.load(place, manifest, engine, pruner)
        for f in engine.fragments():
            f.master.copy_(coarse(f.master))
        engine.cast_masters()
        masks, counts = [], []
        for event in range(spec.schedule.events):
            counts.append(sum(pruner.event(event).values()))
            masks.append(pruner.masks.buffer.clone())
        before = [f.master.clone() for f in engine.fragments()]
        clean = [is_clean(engine, pruner)]
        for step in range(STEPS, STEPS + UPDATES):
            update(engine, text, spec, step)
            clean.append(is_clean(engine, pruner))
        moved = any(not torch.equal(f.master, old) for f, old in zip(engine.fragments(), before, strict=True))
        assert torch.equal(pruner.masks.buffer, masks[-1])
    return {"masks": torch.stack(masks), "counts": counts, "clean": clean, "moved": moved}


def in_layouts(layouts: list[Layout], specs: dict[str, RunSpec], trained: Path, folder: Path) -> list[dict[str, Any]]:
    found = []
    for layout in layouts:
        workers.join()
        found.append(in_layout(layout, specs, trained, Corpus(folder)))
    return found


def check(found: dict[str, Any], spec: RunSpec, expected: torch.Tensor) -> None:
    assert torch.equal(found["masks"], expected)
    assert found["counts"] == [spec.schedule.kept(k, spec.model.shape.prunable) for k in range(spec.schedule.events)]
    assert found["clean"] == [True] * (UPDATES + 1)
    assert found["moved"], "the updates changed nothing, so that nothing was tried"


@pytest.mark.parametrize(
    "layout", [*SAMPLE, *(pytest.param(one, marks=pytest.mark.full) for one in LAYOUTS if one not in SAMPLE)]
)
def test_one_worker_makes_the_masks_of_a_sort_and_removed_weights_stay_zero(
    layout: Layout, specs: dict[str, RunSpec], trained: Path, text: Corpus
) -> None:
    spec = specs[layout[1]]
    check(in_layout(layout, specs, trained, text), spec, by_sorting(trained, spec))


@pytest.mark.parametrize(
    ("world", "layouts"),
    [
        (2, [(3, "bf16")]),
        pytest.param(2, LAYOUTS, marks=pytest.mark.full),
        pytest.param(4, LAYOUTS, marks=pytest.mark.full),
    ],
    ids=["2 workers, a sample", "2 workers", "4 workers"],
)
def test_workers_make_the_masks_of_a_sort_and_removed_weights_stay_zero_on_all_of_them(
    world: int, layouts: list[Layout], specs: dict[str, RunSpec], trained: Path, text: Corpus
) -> None:
    expected = by_sorting(trained, specs["fp32"])
    for found in workers.run(world, in_layouts, layouts, specs, trained, text.folder):
        for layout, of_layout in zip(layouts, found, strict=True):
            check(of_layout, specs[layout[1]], expected)
