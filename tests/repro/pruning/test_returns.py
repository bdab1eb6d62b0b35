"""Events that give weights back, and masks that move: the same as plain sorting, in every layout, to the bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import MovesSpec, RunSpec
from repro.store.folder import Folder
from repro.training import masters, model, train
from repro.training.checkpoint_manifest import name_of
from tests import workers
from tests.repro.pruning.engines import is_clean, opened, update
from tests.repro.pruning.plain import PlainEvents

pytestmark = pytest.mark.slow

UPDATES = 3
Make = Callable[..., RunSpec]
Layout = tuple[int, str]  # ZeRO stage and precision
LAYOUTS: list[Layout] = list(itertools.product((0, 1, 2, 3), ("fp32", "bf16")))

# Down, up, down below and up again in parts: what returns has been removed at several events.
PIECES = ((0, 1.0), (4, 0.7), (8, 0.4), (12, 0.5), (16, 0.2), (20, 0.3), (24, 0.6), (28, 0.85))
FROM_SPARSE = ((0, 0.3), (8, 0.55), (12, 0.9), (20, 1.0))
KINDS: dict[str, dict[str, Any]] = {
    "random": {"pieces": PIECES},
    "gradient, drawn": {"pieces": PIECES, "choose": "gradient", "fill": "draw"},
    "last, drawn": {"pieces": PIECES, "choose": "last", "fill": "draw"},
    "position": {"pieces": PIECES, "choose": "position"},
    "last, uniform": {"pieces": PIECES, "choose": "last", "distribution": "uniform"},
    "random, drawn, Erdős–Rényi": {
        "pieces": FROM_SPARSE,
        "fill": "draw",
        "distribution": "erdos_renyi",
        "score": "random",
    },
    "SET": {"moves": MovesSpec(30, 0.3, "constant"), "distribution": "erdos_renyi", "score": "random"},
    "RigL": {"moves": MovesSpec(30, 0.3, return_="gradient"), "distribution": "uniform", "score": "random"},
    "RigL over all tensors": {"moves": MovesSpec(30, 0.3, return_="gradient"), "score": "random", "fill": "draw"},
}


def spec_of(kind: str, make_spec: Make, precision: str = "fp32") -> RunSpec:
    how = {"shape": "pieces" if "pieces" in KINDS[kind] else "constant", **KINDS[kind]}
    return make_spec(1 - min(density for _, density in how.get("pieces", [(0, 0.3)])), precision=precision, **how)


def coarse(name: str, what: str, size: int) -> torch.Tensor:
    """(size,) made-up numbers, the same in every layout; many are equal, so that ties cross tensors and ranks."""
    seed = sum(f"{name} {what}".encode())
    return (torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 32).round() / 256


def in_layout(layout: Layout, spec: RunSpec, text: Corpus) -> dict[str, Any]:
    """Every event in turn on made-up weights and moments, then updates: what each event left, whole."""
    (stage, _), steps = layout, spec.schedule.total_steps
    with opened(spec, stage) as (engine, pruner):
        for f in engine.fragments():
            size = engine.shapes()[f.name].numel()
            for what, tensor in (("master", f.master), *f.moments.items()):
                made = coarse(f.name, what, size).abs() if what == "exp_avg_sq" else coarse(f.name, what, size)
                tensor.copy_(made[f.offset : f.offset + len(tensor)])
        engine.cast_masters()

        def dense(event: int) -> list[torch.Tensor]:
            found = []
            for flat in engine.flats:
                made = torch.full_like(flat.master, 9e9)  # between and after the tensors, where nothing may be picked
                for part in flat.parts:
                    gradient = coarse(part.name, f"gradient {event}", engine.shapes()[part.name].numel())
                    made[part.start : part.start + part.count] = gradient[part.offset : part.offset + part.count]
                found.append(made)
            return found

        events = []
        for event in range(spec.schedule.events):
            left = pruner.event(event, partial(dense, event))
            kinds = ("master", *engine.fragments()[0].moments)
            every = torch.zeros(len(kinds), pruner.total)
            starts = dict(zip(pruner.sizes, accumulate(pruner.sizes.values(), initial=0), strict=False))
            for f in pruner._fragments():
                for row, tensor in zip(every, (f.master, *f.moments.values()), strict=True):
                    row[starts[f.name] + f.offset :][: len(tensor)] = tensor
            parts = engine.reduce(every).split(list(pruner.sizes.values()), dim=1)
            whole = {n: dict(zip(kinds, part, strict=True)) for n, part in zip(pruner.sizes, parts, strict=True)}
            for name, parameter in pruner.parameters.items():
                with masters.whole(parameter, write=True):
                    cast = whole[name]["master"].to(parameter.dtype)
                    whole[name]["in the module"] = torch.tensor(torch.equal(parameter.detach().flatten(), cast))
                whole[name]["mask"] = pruner.masks.full(name).flatten().clone()
            events.append(
                {"left": left, "nonzero": pruner.nonzero, "tensors": whole, "clean": is_clean(engine, pruner)}
            )
        clean = []
        for step in range(steps, steps + UPDATES):
            update(engine, text, spec, step)
            clean.append(is_clean(engine, pruner))
        return {"events": events, "clean": clean, "strays": pruner.strays()}


def check(found: dict[str, Any], spec: RunSpec) -> None:
    """Compares each event with plain sorting."""
    network = model.prunable(model.build(spec.model, spec.seed))
    shapes = {name: parameter.shape for name, parameter in network.items()}
    plain = PlainEvents(spec, {name: coarse(name, "master", shape.numel()) for name, shape in shapes.items()}, shapes)
    moments = {what: {n: coarse(n, what, s.numel()) for n, s in shapes.items()} for what in ("exp_avg", "exp_avg_sq")}
    moments["exp_avg_sq"] = {name: moment.abs() for name, moment in moments["exp_avg_sq"].items()}
    rose = moved = 0
    for event, left in enumerate(found["events"]):
        before = {name: mask.clone() for name, mask in plain.masks.items()}
        plain.event(event, {name: coarse(name, f"gradient {event}", mask.numel()) for name, mask in before.items()})
        kept = spec.schedule.kept(event, plain.total)
        assert left["nonzero"] == sum(left["left"].values()) == kept
        assert left["clean"]
        for name, mask in plain.masks.items():
            tensors = left["tensors"][name]
            assert torch.equal(tensors["mask"], mask), f"{name} at event {event}"
            assert torch.equal(tensors["master"], plain.weights[name]), f"{name} at event {event}"
            assert tensors["in the module"], f"{name} at event {event}"
            new = mask & ~before[name]
            for what, moment in moments.items():
                moment[name] = moment[name] * (mask & ~new)
                assert torch.equal(tensors[what], moment[name]), f"{what} of {name} at event {event}"
        gone, back = (
            sum(int((a[name] & ~b[name]).sum()) for name in a)
            for a, b in ((before, plain.masks), (plain.masks, before))
        )
        rose += back > gone
        moved += gone == back > 0
    assert found["clean"] == [True] * UPDATES
    assert found["strays"] == 0
    assert moved >= 2 if spec.pruning.moves else rose >= 2


SELDOM = ("position", "last, uniform", "RigL")  # of whose parts others have each
PAIRS = [(kind, LAYOUTS[i % len(LAYOUTS)]) for i, kind in enumerate(KINDS) if kind not in SELDOM]
ALL = [(kind, layout) for kind in KINDS for layout in LAYOUTS]


@pytest.mark.parametrize(
    ("kind", "layout"), [*PAIRS, *(pytest.param(*one, marks=pytest.mark.full) for one in ALL if one not in PAIRS)]
)
def test_one_worker_does_what_plain_sorting_does(kind: str, layout: Layout, text: Corpus, make_spec: Make) -> None:
    spec = spec_of(kind, make_spec, layout[1])
    check(in_layout(layout, spec, text), spec)


@pytest.mark.parametrize(
    ("world", "chosen"),
    [
        (2, [("last, drawn", (3, "bf16"))]),
        pytest.param(2, ALL, marks=pytest.mark.full),
        pytest.param(4, ALL, marks=pytest.mark.full),
    ],
    ids=["2 workers, a sample", "2 workers", "4 workers"],
)
def test_workers_do_what_plain_sorting_does(
    world: int, chosen: list[tuple[str, Layout]], text: Corpus, make_spec: Make
) -> None:
    specs = [spec_of(kind, make_spec, layout[1]) for kind, layout in chosen]
    for found in workers.run(world, in_layouts, [layout for _, layout in chosen], specs, text.folder):
        for of_layout, spec in zip(found, specs, strict=True):
            check(of_layout, spec)


def in_layouts(layouts: list[Layout], specs: list[RunSpec], folder: Path) -> list[dict[str, Any]]:
    found = []
    for layout, spec in zip(layouts, specs, strict=True):
        workers.join()
        found.append(in_layout(layout, spec, Corpus(folder)))
    return found


@pytest.mark.parametrize("fill", ["zero", "draw"])
def test_weights_that_came_back_as_zeros_and_that_nothing_moves_are_counted(
    fill: str, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    """Of so narrow a model's channels some lose what writes to them and what reads from them."""
    spec = make_spec(0.8, dense_steps=16, mirror=True, score="random", fill=fill)
    row = train.train(spec, Folder.open(tmp_path / "run"), text, Resources(zero_stage=3))
    place = tmp_path / "run" / "checkpoint" / name_of(spec.schedule.total_steps)
    masters = load_file(place / "rank-0.safetensors")
    zeros = sum(int((masters[f"master/{name}"] == 0).sum()) for name in load_file(place / "masks.safetensors"))
    assert spec.schedule.n_final(spec.model.shape.prunable) == spec.model.shape.prunable
    assert row["N_idle"] == zeros
    assert (zeros > 0) == (fill == "zero")
