"""N:M sparsity: N of every M neighbours stay until the last event, and then exactly N, however the weights lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from repro import strict
from repro.corpus import Corpus
from repro.errors import UserError
from repro.pruning import picking
from repro.pruning.masks import packed
from repro.pruning.pruner import Pruner
from repro.pruning.scores import ordered
from repro.pruning.select import Shard
from repro.spec import ModelSpec, PruningSpec, RunSpec
from tests import workers
from tests.repro.pruning.engines import is_clean, opened, update

Make = Callable[..., RunSpec]


def survivors(pruner: Pruner, m: int) -> dict[str, torch.Tensor]:
    """How many of each group of `m` neighbours in a row are left, by tensor."""
    return {name: pruner.masks.full(name).view(-1, m).sum(1) for name in pruner.sizes}


@pytest.mark.slow
def test_two_of_four_stay_at_every_event_and_exactly_two_at_the_last(text: Corpus, make_spec: Make) -> None:
    spec = make_spec(0.5, structure="2:4", dense_steps=24)
    left = []
    with opened(spec) as (engine, pruner):
        before = torch.full_like(pruner.masks.buffer, 255)
        for step in range(spec.schedule.total_steps):
            if (event := spec.schedule.event_at(step)) is not None:
                kept = pruner.event(event)
                assert sum(kept.values()) == pruner.nonzero == spec.schedule.kept(event, pruner.total)
                assert not (pruner.masks.buffer & ~before).any(), "a removed weight came back"
                before = pruner.masks.buffer.clone()
                left.append(torch.cat(list(survivors(pruner, 4).values())))
                assert left[-1].min() >= 2
            update(engine, text, spec, step)
            assert is_clean(engine, pruner)
    assert len(left) == spec.schedule.events
    assert left[0].max() == 4
    assert (left[-1] == 2).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "sparsity", "distribution"),
    [
        ("1:4", 0.75, "global"),
        ("4:8", 0.5, "uniform"),
        ("7:8", 0.125, "global"),
        *(
            pytest.param(*one, marks=pytest.mark.full)
            for one in (
                ("2:4", 0.5, "global"),
                ("2:4", 0.5, "uniform"),
                ("1:4", 0.75, "uniform"),
                ("4:8", 0.5, "global"),
                ("7:8", 0.125, "uniform"),
            )
        ),
    ],
)
def test_other_structures_end_exactly_so_too(shape: str, sparsity: float, distribution: str, make_spec: Make) -> None:
    n, m = map(int, shape.split(":"))
    with opened(make_spec(sparsity, structure=shape, distribution=distribution)) as (_, pruner):
        for event in range(pruner.schedule.events):
            assert sum(pruner.event(event).values()) == pruner.schedule.kept(event, pruner.total)
        assert all((counts == n).all() for counts in survivors(pruner, m).values())


def test_a_layer_left_alone_keeps_all_and_the_others_end_with_two_of_four(make_spec: Make) -> None:
    with pytest.raises(UserError, match="structure and sparsity disagree") as refused:
        make_spec(0.1, structure="2:4", do_not_prune=("lm_head",))
    spec = make_spec(fitting(refused.value), structure="2:4", do_not_prune=("lm_head",))
    with opened(spec) as (_, pruner):
        for event in range(spec.schedule.events):
            assert sum(pruner.event(event).values()) == spec.schedule.kept(event, pruner.total)
        counts = survivors(pruner, 4)
        assert (counts.pop("lm_head.weight") == 4).all()
        assert len(counts) == 14
        assert all((left == 2).all() for left in counts.values())


def test_in_a_scope_two_of_four_are_left_and_nothing_else_is_touched(make_spec: Make) -> None:
    """Of one block, and of one kind of layer."""
    scope = ("layers.0", "down_proj")
    with pytest.raises(UserError, match="structure and sparsity disagree") as refused:
        make_spec(0.1, structure="2:4", scope=scope)
    spec = make_spec(fitting(refused.value), structure="2:4", scope=scope, shape="constant")
    with opened(spec) as (_, pruner):
        assert sum(pruner.event(0).values()) == spec.schedule.n_final(pruner.total)
        for name, left in survivors(pruner, 4).items():
            assert (left == (2 if ".layers.0." in name or "down_proj" in name else 4)).all(), name
    with pytest.raises(UserError, match="no such part of the model") as unknown:
        make_spec(0.1, scope=("layers.0", "layers.2"))
    assert unknown.value.found == "layers.2"


@pytest.mark.parametrize("event", [0, pytest.param(-1, marks=pytest.mark.full)])
def test_a_weight_that_is_not_finite_is_named_here_as_well(event: int, make_spec: Make) -> None:
    with opened(make_spec(0.5, structure="2:4")) as (engine, pruner):
        fragment = next(f for f in engine.fragments() if f.name == "lm_head.weight")
        fragment.master[3] = float("nan")
        with pytest.raises(FloatingPointError, match=r"lm_head\.weight"):
            pruner.event(event % pruner.schedule.events)


def masks_of(spec: RunSpec, stage: int) -> list[Any]:
    """The masks after every event, and how many of this rank's fragments begin inside a group."""
    assert spec.pruning.n_of_m is not None
    _, m = spec.pruning.n_of_m
    with opened(spec, stage) as (engine, pruner):
        inside = sum(f.offset % m > 0 for f in engine.fragments() if f.name in pruner.sizes)
        masks = []
        for k in range(spec.schedule.events):
            pruner.event(k)
            masks.append(pruner.masks.buffer.clone())
    return [torch.stack(masks), inside]


def masks_of_all(layouts: list[tuple[RunSpec, int]]) -> list[list[Any]]:
    found = []
    for spec, stage in layouts:
        workers.join()
        found.append(masks_of(spec, stage))
    return found


@pytest.mark.full
@pytest.mark.parametrize("world", [2, 3])
def test_every_stage_and_worker_count_keeps_the_same_groups(world: int, make_spec: Make) -> None:
    specs = [replace(make_spec(0.5, structure=shape, batch=6), run_id=shape) for shape in ("2:4", "4:8")]
    stages = {"2:4": (0, 1, 2, 3), "4:8": (1,) if world == 2 else (0, 1, 2, 3)}
    layouts = [(spec, stage) for spec in specs for stage in stages[spec.run_id]]
    alone = {spec.run_id: masks_of(spec, 0)[0] for spec in specs}
    by_rank = workers.run(world, masks_of_all, layouts)
    for found in by_rank:
        for (spec, stage), (masks, _) in zip(layouts, found, strict=True):
            assert torch.equal(masks, alone[spec.run_id]), (spec.run_id, stage)
    assert any(inside for found in by_rank for _, inside in found), "no shard ends inside a group: nothing was tried"


@pytest.mark.slow
def test_every_stage_of_one_worker_keeps_the_same_groups(make_spec: Make) -> None:
    spec = make_spec(0.5, structure="2:4")
    masks = [masks_of(spec, stage)[0] for stage in (0, 1, 2, 3)]
    assert all(torch.equal(other, masks[0]) for other in masks[1:])


def by_sorting(keys: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """The specification: the first `n` alive of each group in a stable sort, the largest first."""
    flags = torch.zeros_like(keys, dtype=torch.bool)
    order = keys.view(-1, m).sort(dim=1, descending=True, stable=True).indices[:, :n]
    return flags.view(-1, m).scatter(1, order, True).flatten() & (keys >= 0)


@pytest.mark.slow
@pytest.mark.parametrize("length", [1 << 18, 8, 56])
@pytest.mark.parametrize("cuts", [[], [1], [3, 5, 6], [8, 9, 400, 401, 1001, 1678]])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 3), (5, 8), (1, 2), (3, 12)])
def test_the_best_of_groups_that_shards_cut_are_those_of_a_sort(
    n: int, m: int, cuts: list[int], length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picking, "stretch_length", lambda _device: length)
    generator = torch.Generator().manual_seed(m)
    weights = (torch.randn(1680, generator=generator) * 2).round() / 2  # many ties, many zeros
    alive = torch.rand(1680, generator=generator) < 0.6
    bits = packed(alive)

    def keys_from(first: int) -> Callable[[int, int], torch.Tensor]:
        return lambda i, j: ordered(weights[first + i : first + j])

    shards = [Shard(16800 + a, b - a, keys_from(a), bits, a) for a, b in pairwise([0, *cuts, 1680])]
    exchanged = []

    def exchange(edges: list[picking.Edge]) -> list[picking.Edge]:
        exchanged.extend(edges)
        return edges

    flags = torch.cat(picking.best_of_groups(shards, n, m, exchange))
    expected = by_sorting(torch.where(alive, ordered(weights), -1), n, m)
    assert torch.equal(flags, expected)
    assert len(exchanged) <= 2 * m * len(cuts)


# ------------------------------------------------------------------------------------------ specs


def test_rows_that_do_not_divide_into_groups_are_refused(make_spec: Make) -> None:
    spec = make_spec(0.5, structure="2:4")
    for width, model in (("mlp 30", replace(spec.model, mlp=30)), ("d_model 10", replace(spec.model, d_model=10))):
        with pytest.raises(UserError, match=f"(?s)rows that can't be divided into groups.*structure.*2:4 with {width}"):
            replace(spec, model=model)


@pytest.mark.parametrize("shape", ["2:4", "1:3", "3:5", "4:8"])
@pytest.mark.parametrize("layers", [(), ("lm_head",), ("down_proj",), ("q_proj", "o_proj")])
@pytest.mark.parametrize("vocab", [256, 300, 301, 512])
def test_a_sparsity_that_disagrees_is_told_the_one_that_fits_and_that_is_accepted(
    shape: str, layers: tuple[str, ...], vocab: int, make_spec: Make
) -> None:
    n, m = map(int, shape.split(":"))
    base = replace(make_spec(0.1), model=ModelSpec(2 * m, 2, 1, 4 * m, vocab, 32))
    pruning = replace(base.pruning, structure=shape, do_not_prune=layers)
    with pytest.raises(UserError, match="structure and sparsity disagree") as refused:
        replace(base, pruning=pruning)
    spec = replace(base, pruning=replace(pruning, sparsity=fitting(refused.value)))
    linears = spec.model.shape.linears
    left = sum(size if name in layers else size // m * n for name, size in linears.items())
    assert spec.schedule.n_final(spec.model.shape.prunable) == left


def fitting(error: UserError) -> float:
    """The sparsity that the message names."""
    return float(str(error.expected).split(",")[0])


@pytest.mark.parametrize("shape", ["4:2", "2:", ":4", "0:4", "4:4", "2:4:8", "2/4", "1:65", "none", ""])
def test_what_is_no_structure_is_refused(shape: str) -> None:
    with pytest.raises(UserError, match="no such structure"):
        PruningSpec(0.5, structure=shape)


def test_an_unquoted_structure_in_a_file_is_read_as_text(tmp_path: Path) -> None:
    file = tmp_path / "pruning.yaml"
    file.write_text("sparsity: .5\nshape: geometric\nstructure: 2:4\n")
    assert strict.read_yaml(file)["structure"] == "2:4"
    assert strict.build(PruningSpec, strict.read_yaml(file)).n_of_m == (2, 4)
