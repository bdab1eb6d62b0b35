"""However many ranks share a model, every weight's master lies on exactly one of them, at the place its flat names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing

import pytest
import torch
import torch.distributed as dist
from torch.testing._internal.distributed.fake_pg import FakeStore

from repro.spec import Precision, RunSpec
from repro.training import model
from repro.training.zero import DeepSpeedEngine

Make = Callable[..., RunSpec]


@pytest.mark.parametrize("world", [3, pytest.param(64, marks=pytest.mark.full)])
@pytest.mark.parametrize(("stage", "precision"), [(1, "fp32"), (2, "bf16"), (3, "bf16")])
def test_the_parts_of_all_ranks_are_the_model_once(
    stage: int, precision: Precision, world: int, make_spec: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rank's engine in turn, in a group whose other members don't exist."""
    import deepspeed
    import deepspeed.ops

    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setitem(deepspeed.ops.__compatible_ops__, "deepspeed_shm_comm", False)
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    spec = make_spec(batch=world)
    sizes = {name: p.numel() for name, p in model.build(spec.model, 0).named_parameters()}
    held: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for rank in range(world):
        dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=world)
        deepspeed.init_distributed(dist_backend="fake", auto_mpi_discovery=False, verbose=False)
        engine = DeepSpeedEngine(
            model.build(spec.model, 0),
            spec.optimizer,
            stage=stage,
            precision=precision,
            micro_batch=1,
            accumulation=1,
            device=torch.device("cpu"),
        )
        with closing(engine):
            for flat in engine.flats:
                ends = [part.start + part.count for part in flat.parts]
                assert [0, *ends][: len(ends)] == [part.start for part in flat.parts] or stage == 3
                assert not ends or max(ends) <= flat.master.numel()
                for part in flat.parts:
                    held[part.name].append((part.offset, part.count))
        deepspeed.comm.destroy_process_group()
    for name, size in sizes.items():
        at = 0
        for offset, count in sorted(held[name]):
            assert offset == at, name
            at += count
        assert at == size, name
