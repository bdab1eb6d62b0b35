"""An engine of a small model with its pruner, and what is asked of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from repro.corpus import Corpus
from repro.pruning.pruner import Pruner
from repro.spec import RunSpec
from repro.training import masters, model
from repro.training.batch import Batch
from repro.training.distributed import process_group
from repro.training.zero import DeepSpeedEngine

CPU = torch.device("cpu")


@contextmanager
def opened(
    spec: RunSpec, stage: int = 1, accumulation: int = 1, dtype: torch.dtype = torch.float32
) -> Iterator[tuple[DeepSpeedEngine, Pruner]]:
    """A real engine and its pruner, alone or in the group that there is."""
    with process_group(CPU):
        network: nn.Module = model.build(spec.model, spec.seed)
        network.to(dtype)
        micro = spec.optimizer.batch // dist.get_world_size() // accumulation
        engine = DeepSpeedEngine(
            network,
            spec.optimizer,
            stage=stage,
            precision=spec.precision,
            micro_batch=micro,
            accumulation=accumulation,
            device=CPU,
        )
        yield engine, Pruner(engine, spec)
        engine.close()


def update(engine: DeepSpeedEngine, text: Corpus, spec: RunSpec, step: int) -> float:
    """One update on this rank's share of the batch. Returns this rank's mean loss."""
    share = spec.optimizer.batch // dist.get_world_size()
    rows = text.batch(step, spec.optimizer.batch, spec.seed, first=dist.get_rank() * share, count=share)
    engine.set_lr(spec.optimizer.lr_at(step, spec.schedule))
    losses = []
    for part in np.split(rows, engine.accumulation):
        batch = Batch.of(text, part)
        loss = engine.losses(batch)[0] / batch.bearing
        engine.backward(loss)
        engine.step()
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def cross_entropy(logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Mean loss of (B, T, V) logits of all but the last tokens of (B, T + 1) rows."""
    return F.cross_entropy(
        logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32)), rows[:, 1:].flatten()
    )


def is_clean(engine: DeepSpeedEngine, pruner: Pruner) -> bool:
    """Whether all that was removed is exactly zero: masters and moments held here, and the module's weights."""
    held = [
        tensor[~pruner.mask_of(f)]
        for f in engine.fragments()
        if f.name in pruner.sizes
        for tensor in (f.master, *f.moments.values())
    ]
    for name, parameter in pruner.parameters.items():
        with masters.whole(parameter, write=True):
            held.append(parameter.data[~pruner.masks.full(name)])
    return not any(removed.any() for removed in held)
