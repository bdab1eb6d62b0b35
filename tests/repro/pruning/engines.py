"""An engine of a small model with its pruner, and what is asked of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch.nn import functional as F

from repro.corpus import Corpus
from repro.pruning.pruner import Pruner
from repro.resources import Resources
from repro.spec import RunSpec
from repro.training import model, zero

CPU = torch.device("cpu")


@contextmanager
def opened(
    spec: RunSpec, stage: int = 1, accumulation: int = 1, dtype: torch.dtype = torch.float32
) -> Iterator[tuple[Any, Pruner]]:
    """A real engine and its pruner, alone or in the group that there is."""
    with zero.process_group(CPU):
        network = model.build(spec.model, spec.seed).to(dtype)
        micro = spec.optimizer.batch // dist.get_world_size() // accumulation
        resources = Resources(zero_stage=stage)
        engine = zero.engine(network, spec.optimizer, resources, spec.precision, micro, accumulation, CPU)
        yield engine, Pruner(engine, spec.schedule, spec.pruning, spec.seed)
        zero.close(engine)


def update(engine: Any, text: Corpus, spec: RunSpec, step: int) -> float:
    """One update on this rank's share of the batch. Returns this rank's mean loss."""
    share = spec.optimizer.batch // dist.get_world_size()
    rows = text.batch(step, spec.optimizer.batch, spec.seed, first=dist.get_rank() * share, count=share)
    zero.set_lr(engine, spec.optimizer.lr_at(step, spec.schedule))
    parts = torch.from_numpy(rows.astype("int64")).chunk(engine.gradient_accumulation_steps())
    losses = []
    for part in parts:
        loss = cross_entropy(engine, part)
        engine.backward(loss)
        engine.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def cross_entropy(network: Any, rows: torch.Tensor) -> torch.Tensor:
    logits = network(input_ids=rows[:, :-1], use_cache=False).logits
    return F.cross_entropy(
        logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32)), rows[:, 1:].flatten()
    )


def is_clean(engine: Any, pruner: Pruner) -> bool:
    """Whether all that was removed is exactly zero: masters and moments held here, and the module's weights."""
    held = [
        tensor[~pruner.mask_of(f)]
        for f in zero.fragments(engine)
        if f.name in pruner.sizes
        for tensor in (f.master, *f.moments.values())
    ]
    for name, parameter in pruner.parameters.items():
        with zero.gathered(engine, parameter):
            held.append(parameter.data[~pruner.masks.full(name)])
    return not any(removed.any() for removed in held)
