"""Compares a finished run with its schedule: non-zero weights, N_avg and tokens must equal the planned values exactly."""

from __future__ import annotations

import torch
import torch.distributed as dist

from repro.pruning.pruner import Pruner
from repro.spec import RunSpec
from repro.store.run_folder import RunFailed
from repro.training.record import Log


def verify(spec: RunSpec, pruner: Pruner, log: Log) -> None:
    """Compares a trained run's counts with its schedule's. Collective.

    Raises:
        RunFailed: they differ, or a removed weight has moved.
    """
    schedule, total = spec.schedule, pruner.total
    strays = torch.tensor([pruner.strays()], device=pruner.engine.device)
    dist.all_reduce(strays)
    for what, measured, promised in (
        ("weights left", pruner.nonzero, schedule.n_final(total)),
        ("sum over steps of N_t", log.weight_steps, schedule.weight_steps(total)),
        ("tokens seen", log.tokens, spec.tokens),
        ("removed weights that moved", int(strays), 0),
    ):
        if measured != promised:
            raise RunFailed(f"{what}: measured {measured:,}, the schedule promised {promised:,}")
