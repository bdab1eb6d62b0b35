"""The rule of the paper in real DeepSpeed: exact counts, zeros that stay, the same in every ZeRO stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from repro.corpus import Corpus
from repro.errors import UserError
from repro.pruning.pruner import Pruner
from repro.spec import RunSpec
from repro.training import masters, model
from repro.training.zero import DeepSpeedEngine
from tests.repro.pruning.engines import cross_entropy, is_clean, opened, update

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
Make = Callable[..., RunSpec]
FULL = pytest.mark.full
STAGES = (0, 1, 2, 3)


def stages(*sample: int) -> list[Any]:
    """All stages, of which those outside of the sample run in the full set alone."""
    return [stage if stage in sample else pytest.param(stage, marks=FULL) for stage in STAGES]


@pytest.mark.parametrize(
    ("stage", "precision"),
    [
        (0, "fp32"),
        (3, "bf16"),
        *(pytest.param(*layout, marks=FULL) for layout in ((1, "fp32"), (2, "fp32"), (3, "fp32"), (1, "bf16"))),
    ],
)
def test_counts_are_exact_and_removed_weights_stay_zero(
    stage: int, precision: str, text: Corpus, make_spec: Make
) -> None:
    spec = make_spec(precision=precision, dense_steps=20)
    with opened(spec, stage) as (engine, pruner):
        for step in range(spec.schedule.total_steps):
            event = spec.schedule.event_at(step)
            if event is not None:
                kept = pruner.event(event)
                assert sum(kept.values()) == pruner.nonzero == spec.schedule.kept(event, spec.model.shape.prunable)
            update(engine, text, spec, step)
            assert is_clean(engine, pruner), f"after the update of step {step}"


def test_every_stage_prunes_the_same_weights(text: Corpus, make_spec: Make) -> None:
    spec = make_spec()
    masks = []
    for stage in STAGES:
        with opened(spec, stage) as (_engine, pruner):
            pruner.event(spec.schedule.events - 1)
            masks.append(pruner.masks.buffer.clone())
    assert all(torch.equal(other, masks[0]) for other in masks[1:])


def trained_to(event: int, engine: DeepSpeedEngine, pruner: Pruner, text: Corpus, spec: RunSpec) -> int:
    """Trains up to an event and not into it; the earlier events happen. Returns its step."""
    due = spec.schedule.start_step + event * spec.schedule.interval
    for step in range(due):
        if (earlier := spec.schedule.event_at(step)) is not None:
            pruner.event(earlier)
        update(engine, text, spec, step)
    return due


def held(engine: DeepSpeedEngine, pruner: Pruner) -> dict[str, tuple[torch.Tensor, ...]]:
    """Copies of master, first and second moment of every prunable tensor; one worker holds all of each."""
    return {
        f.name: (f.master.clone(), *(moment.clone() for moment in f.moments.values()))
        for f in engine.fragments()
        if f.name in pruner.sizes
    }


def test_magnitude_gradient_removes_what_a_sort_by_weight_times_mean_gradient_puts_last(
    text: Corpus, make_spec: Make
) -> None:
    spec = make_spec(score="magnitude_gradient")
    with opened(spec) as (engine, pruner):
        trained_to(1, engine, pruner, text, spec)
        alive = torch.cat([pruner.masks.full(name).flatten() for name in pruner.sizes])
        state = held(engine, pruner)
        weights, gradients = (torch.cat([state[name][i] for name in pruner.sizes]) for i in (0, 1))
        scores = (weights * gradients).abs().masked_fill(~alive, -1)
        pruner.event(1)
        mask = torch.cat([pruner.masks.full(name).flatten() for name in pruner.sizes])
    expected, by_magnitude = torch.zeros_like(alive), torch.zeros_like(alive)
    keep = spec.schedule.kept(1, len(alive))
    expected[scores.sort(descending=True, stable=True).indices[:keep]] = True
    by_magnitude[weights.abs().sort(descending=True, stable=True).indices[:keep]] = True
    assert 0 < keep < int(alive.sum()) < len(alive)
    assert torch.equal(mask, expected)
    assert not torch.equal(mask, by_magnitude)


@pytest.mark.parametrize("pruning", [{"start": 0.0}, {"shape": "constant"}])
def test_magnitude_gradient_is_refused_before_the_first_update(make_spec: Make, pruning: dict[str, Any]) -> None:
    make_spec(**pruning)
    with pytest.raises(UserError, match="no gradient before the first update"):
        make_spec(score="magnitude_gradient", **pruning)


@pytest.mark.parametrize("stage", stages(1, 3))
def test_an_event_leaves_the_survivors_moments_to_the_bit_and_zeroes_the_others(
    stage: int, text: Corpus, make_spec: Make
) -> None:
    spec = make_spec()
    with opened(spec, stage) as (engine, pruner):
        trained_to(0, engine, pruner, text, spec)
        before = held(engine, pruner)
        pruner.event(0)
        after = held(engine, pruner)
        masks = {name: pruner.masks.full(name).flatten() for name in pruner.sizes}
    assert list(before) == list(masks)
    for name, mask in masks.items():
        for old, new in zip(before[name], after[name], strict=True):
            assert torch.equal(new[mask].view(torch.int32), old[mask].view(torch.int32))
            assert not new[~mask].any()
    assert all(sum(int(old[i][~masks[n]].count_nonzero()) for n, old in before.items()) > 100 for i in range(3))


@pytest.mark.parametrize("stage", stages(2))
def test_the_clipped_norm_is_over_all_parameters_with_removed_entries_zero(
    stage: int, text: Corpus, make_spec: Make
) -> None:
    spec = make_spec()
    clip = 0.05  # far below the norm, so that every gradient is scaled
    spec = replace(spec, optimizer=replace(spec.optimizer, clip=clip))
    with opened(spec, stage) as (engine, pruner):
        step = trained_to(4, engine, pruner, text, spec)
        pruner.event(4)
        plain = model.build(spec.model, spec.seed)
        for name, parameter in engine.module.named_parameters():
            with masters.whole(parameter, write=True), torch.no_grad():
                plain.get_parameter(name).copy_(parameter)
        rows = torch.from_numpy(text.batch(step, spec.optimizer.batch, spec.seed).astype("int64"))
        cross_entropy(plain(input_ids=rows[:, :-1], use_cache=False).logits, rows).backward()
        gradients = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None}
        assert len(gradients) == len(list(plain.parameters()))
        masked = {n: g * pruner.masks.full(n, g.dtype) if n in pruner.sizes else g for n, g in gradients.items()}
        norm, prunable = norm_of(masked), norm_of({n: masked[n] for n in pruner.sizes})
        assert norm > 2 * clip
        assert norm_of(gradients) > 1.01 * norm
        assert norm > 1.01 * prunable
        before = {f.name: f.moments["exp_avg"].clone() for f in engine.fragments()}
        update(engine, text, spec, step)
        assert float(engine.grad_norm()) == pytest.approx(norm, rel=1e-5)
        for f in engine.fragments():
            clipped = masked[f.name].flatten() * (clip / norm)
            expected = spec.optimizer.beta1 * before[f.name] + (1 - spec.optimizer.beta1) * clipped
            torch.testing.assert_close(f.moments["exp_avg"], expected, rtol=1e-3, atol=1e-7)


def norm_of(gradients: dict[str, torch.Tensor]) -> float:
    return float(torch.cat([g.flatten() for g in gradients.values()]).double().norm())


@pytest.mark.parametrize(
    ("stage", "precision"),
    [
        (3, "fp32"),
        (1, "bf16"),
        *(pytest.param(stage, "fp32", marks=FULL) for stage in (0, 1, 2)),
        *(pytest.param(stage, "bf16", marks=FULL) for stage in (0, 2, 3)),
    ],
)
def test_accumulating_gradients_keeps_removed_weights_at_zero(
    stage: int, precision: str, text: Corpus, make_spec: Make
) -> None:
    spec = make_spec(precision=precision)
    with opened(spec, stage, accumulation=2) as (engine, pruner):
        step = trained_to(4, engine, pruner, text, spec)
        pruner.event(4)
        made = engine.updates()
        for later in range(step, step + 6):
            update(engine, text, spec, later)
            assert is_clean(engine, pruner)
        assert made == step
        assert engine.updates() == step + 6


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
    with pytest.raises(UserError, match="unpruned layers"):
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
        fragment = next(f for f in engine.fragments() if f.name == "lm_head.weight")
        fragment.master[3] = float("nan")
        with pytest.raises(FloatingPointError, match=r"lm_head\.weight"):
            pruner.event(0)


def test_no_op_is_compiled_for_the_cpu(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, make_spec: Make) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    with opened(replace(make_spec(), seed=1)):
        import deepspeed.comm.comm

        assert deepspeed.comm.comm.cdb.shm_comm_op is None
    assert list(tmp_path.iterdir()) == []
