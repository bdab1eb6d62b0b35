"""The rule of the paper in real DeepSpeed: exact counts, zeros that stay, the same in every ZeRO stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from repro import model, zero
from repro.corpus import Corpus
from repro.errors import UserError
from repro.pruning.pruner import Pruner
from repro.resources import Resources
from repro.spec import RunSpec

CPU = torch.device("cpu")
Make = Callable[..., RunSpec]


@contextmanager
def opened(spec: RunSpec, stage: int = 1) -> Iterator[tuple[Any, Pruner]]:
    with zero.process_group(CPU):
        network = model.build(spec.model, spec.seed)
        engine = zero.engine(
            network, spec.optimizer, Resources(zero_stage=stage), spec.precision, spec.optimizer.batch, 1, CPU
        )
        yield engine, Pruner(engine, spec.schedule, spec.pruning, spec.seed)
        zero.close(engine)


def update(engine: Any, text: Corpus, spec: RunSpec, step: int) -> float:
    rows = torch.from_numpy(text.batch(step, spec.optimizer.batch, spec.seed).astype("int64"))
    zero.set_lr(engine, spec.optimizer.lr_at(step, spec.schedule.total_steps))
    logits = engine(input_ids=rows[:, :-1], use_cache=False).logits
    loss = F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())
    engine.backward(loss)
    engine.step()
    return float(loss.detach())


@pytest.mark.parametrize(
    ("stage", "precision"), [(0, "fp32"), (1, "fp32"), (2, "fp32"), (3, "fp32"), (1, "bf16"), (3, "bf16")]
)
def test_counts_are_exact_and_removed_weights_stay_zero(
    stage: int, precision: str, text: Corpus, make_spec: Make
) -> None:
    spec = make_spec(precision=precision)
    with opened(spec, stage) as (engine, pruner):
        for step in range(spec.schedule.total_steps):
            event = spec.schedule.event_at(step)
            if event is not None:
                kept = pruner.event(event)
                assert sum(kept.values()) == pruner.nonzero == spec.schedule.kept(event, spec.model.shape.prunable)
            update(engine, text, spec, step)
            for fragment in zero.fragments(engine):
                if fragment.name in pruner.sizes:
                    gone = ~pruner.mask_of(fragment)
                    assert not fragment.master[gone].any()
                    assert not any(moment[gone].any() for moment in fragment.moments.values())
        for name, parameter in pruner.parameters.items():
            with zero.gathered(engine, parameter):
                assert not parameter.data[~pruner.masks.full(name)].any()


def test_every_stage_prunes_the_same_weights(text: Corpus, make_spec: Make) -> None:
    spec = make_spec()
    masks = []
    for stage in (0, 1, 2, 3):
        with opened(spec, stage) as (_engine, pruner):
            pruner.event(spec.schedule.events - 1)
            masks.append(pruner.masks.buffer.clone())
    assert all(torch.equal(other, masks[0]) for other in masks[1:])


def test_it_follows_a_plain_reference_step_by_step(text: Corpus, make_spec: Make) -> None:
    """The paper's rule written out in plain PyTorch: weights times mask forward, masked gradients, a global sort."""
    spec = make_spec(dense_steps=60)
    with opened(spec) as (engine, pruner):
        ours = []
        for step in range(spec.schedule.total_steps):
            if (event := spec.schedule.event_at(step)) is not None:
                pruner.event(event)
            ours.append(update(engine, text, spec, step))
        masks = {name: pruner.masks.full(name) for name in pruner.sizes}

    o = spec.optimizer
    network = model.build(spec.model, spec.seed)
    weights = model.prunable(network)
    alive = {name: torch.ones_like(p, dtype=torch.bool) for name, p in weights.items()}
    adamw = torch.optim.AdamW(
        network.parameters(), lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps, weight_decay=o.weight_decay
    )
    theirs = []
    for step in range(spec.schedule.total_steps):
        if (event := spec.schedule.event_at(step)) is not None:
            flat = torch.cat([(p.detach().abs() * alive[n]).flatten() for n, p in weights.items()])
            order = torch.sort(flat, descending=True, stable=True).indices
            keep = torch.zeros_like(flat, dtype=torch.bool)
            keep[order[: spec.schedule.kept(event, len(flat))]] = True
            for (name, p), part in zip(weights.items(), keep.split([p.numel() for p in weights.values()]), strict=True):
                alive[name] &= part.view(p.shape)
                with torch.no_grad():
                    p.mul_(alive[name])
                for moment in ("exp_avg", "exp_avg_sq"):
                    if p in adamw.state:
                        adamw.state[p][moment].mul_(alive[name])
        rows = torch.from_numpy(text.batch(step, o.batch, spec.seed).astype("int64"))
        for group in adamw.param_groups:
            group["lr"] = o.lr_at(step, spec.schedule.total_steps)
        loss = F.cross_entropy(
            network(input_ids=rows[:, :-1], use_cache=False).logits.flatten(0, 1), rows[:, 1:].flatten()
        )
        adamw.zero_grad()
        loss.backward()
        for name, p in weights.items():
            p.grad.mul_(alive[name])
        torch.nn.utils.clip_grad_norm_(network.parameters(), o.clip)
        adamw.step()
        theirs.append(float(loss.detach()))
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-5
    differing = sum(int((masks[n] != alive[n]).sum()) for n in masks)
    assert differing <= 1e-5 * spec.model.shape.prunable + 1


def test_uniform_leaves_the_same_density_in_every_tensor(make_spec: Make) -> None:
    spec = make_spec(distribution="uniform")
    with opened(spec) as (_, pruner):
        kept = pruner.event(spec.schedule.events - 1)
        assert sum(kept.values()) == spec.schedule.n_final(pruner.total)
        assert all(abs(count - 0.2 * pruner.sizes[name]) <= 1 for name, count in kept.items())


def test_a_kept_head_loses_nothing_and_the_rest_makes_up_for_it(make_spec: Make) -> None:
    spec = make_spec(0.4, do_not_prune=("lm_head",))
    with opened(spec) as (_, pruner):
        kept = pruner.event(spec.schedule.events - 1)
        assert kept["lm_head.weight"] == pruner.sizes["lm_head.weight"]
        assert sum(kept.values()) == spec.schedule.n_final(pruner.total)


def test_keeping_more_than_may_stay_is_refused(make_spec: Make) -> None:
    with pytest.raises(UserError, match="left alone"):
        make_spec(0.8, do_not_prune=("lm_head",))


def test_random_scores_prune_other_weights_than_magnitude(make_spec: Make) -> None:
    masks = []
    for score in ("magnitude", "random"):
        with opened(make_spec(score=score)) as (_, pruner):
            pruner.event(0)
            masks.append(pruner.masks.full("lm_head.weight"))
    assert not torch.equal(*masks)


def test_a_weight_that_is_not_finite_is_named(make_spec: Make) -> None:
    with opened(make_spec()) as (engine, pruner):
        fragment = next(f for f in zero.fragments(engine) if f.name == "lm_head.weight")
        fragment.master[3] = float("nan")
        with pytest.raises(FloatingPointError, match=r"lm_head\.weight"):
            pruner.event(0)


def test_no_op_is_compiled_for_the_cpu(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, make_spec: Make) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    with opened(replace(make_spec(), seed=1)):
        import deepspeed.comm.comm

        assert deepspeed.comm.comm.cdb.shm_comm_op is None
    assert list(tmp_path.iterdir()) == []
