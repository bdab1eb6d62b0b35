"""The gradients of an update that isn't made: the dense ones of the whole batch, and nothing is changed by asking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from repro.corpus import Corpus
from repro.spec import RunSpec
from repro.training import masters, model
from repro.training.zero import DeepSpeedEngine
from tests import workers
from tests.repro.pruning.engines import cross_entropy, is_clean, opened, update

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]
STEPS = 3  # updates before the gradients are asked for
LAYOUTS = [
    (0, "bf16", 2),
    (1, "bf16", 1),
    (3, "fp32", 1),
    *(
        pytest.param(*layout, marks=pytest.mark.full)
        for layout in (
            (0, "fp32", 1),
            (0, "fp32", 2),
            (0, "bf16", 1),
            (2, "fp32", 2),
            (1, "fp32", 1),
            (1, "fp32", 2),
            (2, "bf16", 2),
            (3, "bf16", 2),
        )
    ),
]


def everything(engine: DeepSpeedEngine) -> list[torch.Tensor]:
    """Copies of masters, moments and the module's weights that this rank holds, and the count of updates."""
    state = [t.clone() for f in engine.flats for t in (f.master, *f.moments.values())]
    for _, parameter in engine.module.named_parameters():
        with masters.whole(parameter, write=True):
            state.append(parameter.detach().clone())
    return [*state, torch.tensor(engine.updates()), engine.grad_norm().clone()]


def asked(
    spec: RunSpec, stage: int, accumulation: int, folder: Path, joined: Callable[[], object] = bool
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], bool, list[list[torch.Tensor]]]:
    """The gradients of each tensor, whole; the weights at which they were; whether nothing was changed; and the state
    after one more update, with asking and without. `joined` makes the group, which closing an engine ends."""
    text = Corpus(folder)
    ends = []
    for ask in (True, False):
        joined()
        with opened(spec, stage, accumulation) as (engine, pruner):
            for step in range(STEPS):
                update(engine, text, spec, step)
            pruner.event(spec.schedule.events - 1)
            if ask:
                before = everything(engine)
                found = engine.gradients(lambda: update(engine, text, spec, STEPS))
                unchanged = all(torch.equal(a, b) for a, b in zip(before, everything(engine), strict=True))
                whole = {name: torch.zeros(shape.numel()) for name, shape in engine.shapes().items()}
                for flat, gradient in zip(engine.flats, found, strict=True):
                    for part in flat.parts:
                        whole[part.name][part.offset : part.offset + part.count] = gradient[part.start :][: part.count]
                for gradient in whole.values():
                    engine.reduce(gradient)
                weights = {}
                for name, parameter in engine.module.named_parameters():
                    with masters.whole(parameter, write=True):
                        weights[name] = parameter.detach().clone()
            update(engine, text, spec, STEPS)
            assert is_clean(engine, pruner)
            ends.append(everything(engine))
    return whole, weights, unchanged, ends


def check(found: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], text: Corpus, spec: RunSpec) -> None:
    """Compares with the gradients of plain autograd at the same weights, in fp32."""
    plain = model.build(spec.model, spec.seed)
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            parameter.copy_(weights[name])
    rows = torch.from_numpy(text.batch(STEPS, spec.optimizer.batch, spec.seed).astype("int64"))
    cross_entropy(plain(input_ids=rows[:, :-1], use_cache=False).logits, rows).backward()
    removed = 0
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None
        expected, near = parameter.grad.flatten(), 1e-5 if spec.precision == "fp32" else 0.05
        assert float((found[name] - expected).norm()) <= near * float(expected.norm())
        removed += int(((weights[name].flatten() == 0) & (found[name] != 0)).sum())
    assert removed > 1000, "no weight that was removed has a gradient, so that these are masked"


@pytest.mark.parametrize(("stage", "precision", "accumulation"), LAYOUTS)
def test_gradients_are_dense_and_asking_changes_nothing(
    stage: int, precision: str, accumulation: int, text: Corpus, make_spec: Make
) -> None:
    spec = make_spec(0.5, precision=precision)
    found, weights, unchanged, (after, without) = asked(spec, stage, accumulation, text.folder)
    assert unchanged
    assert all(torch.equal(a, b) for a, b in zip(after, without, strict=True))
    check(found, weights, text, spec)


@pytest.mark.parametrize(
    ("world", "stage"), [pytest.param(w, s, marks=pytest.mark.full) for w, s in ((2, 0), (2, 1), (2, 3), (4, 2))]
)
def test_all_workers_have_the_gradients_of_the_whole_batch(
    world: int, stage: int, text: Corpus, make_spec: Make
) -> None:
    spec = make_spec(0.5)
    for found, weights, unchanged, (after, without) in workers.run(world, in_group, spec, stage, text.folder):
        assert unchanged
        assert all(torch.equal(a, b) for a, b in zip(after, without, strict=True))
        check(found, weights, text, spec)


def in_group(spec: RunSpec, stage: int, folder: Path) -> tuple[object, ...]:
    return asked(spec, stage, 1, folder, workers.join)


def test_an_update_that_the_engine_leaves_out_has_no_gradients(text: Corpus, make_spec: Make) -> None:
    spec = make_spec(0.5)
    with opened(spec, 3) as (engine, _):
        engine.flats[0].master.fill_(float("nan"))
        engine.cast_masters()
        with pytest.raises(FloatingPointError, match="not finite"):
            engine.gradients(lambda: update(engine, text, spec, STEPS))
