"""Where DeepSpeed's ZeRO keeps the fp32 masters of a rank: the flat buffers, and which parameters lie in them."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

from repro.training.engine import Part


def stage_of(optimizer: Any) -> int | None:
    """The stage of one of DeepSpeed's ZeRO optimizers: 3, or 2 for 1 and 2, which lie alike; None of anything else."""
    if hasattr(optimizer, "fp32_partitioned_groups_flat"):
        return 3
    return 2 if hasattr(optimizer, "single_partition_of_fp32_groups") else None


def flats(optimizer: Any) -> list[torch.Tensor]:
    """The flat masters that a ZeRO optimizer of stage 1 to 3 updates on this rank."""
    if stage_of(optimizer) == 3:
        return list(optimizer.fp32_partitioned_groups_flat)
    return list(optimizer.single_partition_of_fp32_groups)


def place(optimizer: Any, name: str, parameter: Any) -> tuple[int, Part]:
    """Where this rank's master of a parameter lies: the index in `flats`, and its range, which may be empty."""
    if stage_of(optimizer) == 3:
        index, start, width = optimizer.grad_position[optimizer.get_param_id(parameter)]
        offset = dist.get_rank(getattr(optimizer, "dp_process_group", None)) * width
        # The last rank's range is padded.
        return index, Part(name, offset, start, max(0, min(width, parameter.ds_numel - offset)))
    mapping = parameter._hp_mapping
    if mapping is None:
        return 0, Part(name, 0, 0, 0)
    held = mapping.hp_fragment_address
    return mapping.param_group_index, Part(name, mapping.lp_fragment_address.start, held.start, held.numel)


def full_shape(parameter: Any) -> torch.Size:
    """The shape of a whole parameter, also where stage 3 has partitioned it."""
    return torch.Size(getattr(parameter, "ds_shape", parameter.shape))
