"""What DeepSpeed needs around one run: process group, engine, and where ZeRO keeps the fp32 masters."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from repro.errors import UserError
from repro.resources import Resources
from repro.spec import OptimizerSpec

BUCKET = 500_000_000  # gradients reduced at once, at most
MOMENTS = ("exp_avg", "exp_avg_sq")


def device_of(resources: Resources) -> torch.device:
    """The device that `resources` asks for. Raises UserError when it asks for a GPU and there is none."""
    if resources.device == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU here", key="resources.device", found="cuda", expected="cpu or auto")
    use_gpu = resources.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if use_gpu else torch.device("cpu")


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """A process group for DeepSpeed: the one Ray Train made, or a group of one.

    The group is destroyed through DeepSpeed at the end: it keeps module-level references to groups, and a
    process that trains its next run with a dead one fails ("Group is not registered").
    """
    # DeepSpeed picks its accelerator from this variable when it is first imported.
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "warning")
    import deepspeed
    import deepspeed.ops

    if device.type == "cpu":
        # Otherwise init_distributed compiles a shared-memory op for a minute or more.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if device.type == "cuda" else "gloo"
    os.environ.setdefault("LOCAL_RANK", "0")  # Ray Train and torchrun set it; DeepSpeed insists on it
    if not dist.is_initialized():
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
    try:
        yield
    finally:
        deepspeed.comm.destroy_process_group()
        gc.collect()  # frees the threads and descriptors that the group's cycles hold


def engine(
    model: nn.Module,
    optimizer: OptimizerSpec,
    resources: Resources,
    precision: str,
    micro_batch: int,
    accumulation: int,
    device: torch.device,
) -> Any:
    """A DeepSpeed engine around `model` with AdamW whose state exists from the start.

    The optimizer is a torch object: by name DeepSpeed would compile one of its own. It is fused, one call for
    all parameters, with weight decay on every parameter (paper, section 1).
    """
    import deepspeed

    adamw = torch.optim.AdamW(
        model.parameters(),
        lr=optimizer.lr,
        betas=(optimizer.beta1, optimizer.beta2),
        eps=optimizer.eps,
        weight_decay=optimizer.weight_decay,
        fused=True,
    )
    weights = sum(p.numel() for p in model.parameters())
    config = {
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": optimizer.clip,
        # DeepSpeed allocates the whole bucket in every backward pass: 2 GB by default, for any model.
        "zero_optimization": {"stage": resources.zero_stage, "reduce_bucket_size": min(weights, BUCKET)},
        "bf16": {"enabled": precision == "bf16"},
        # Stages 2 and 3 can sum micro-batches in fp32 below bf16; 0 and 1 (as DeepSpeed has them) sum in bf16.
        "data_types": {"grad_accum_dtype": "fp32" if resources.zero_stage > 1 else None},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
    }
    made, *_ = deepspeed.initialize(model=model.to(device), optimizer=adamw, config=config, dist_init_required=False)
    for flat in _flat_masters(made):
        # As AdamW itself does at the first update; so that a pruning event and a resume find the moments.
        state = {"step": torch.zeros((), dtype=torch.float32, device=flat.device)}
        state.update({name: torch.zeros_like(flat, requires_grad=False) for name in MOMENTS})
        _base(made).state[flat] = state
    return made


def close(made: Any) -> None:
    """Releases an engine so that the same process can make the next."""
    made.destroy()
    if made.zero_optimization_stage() == 3:
        # What DeepSpeed keeps for good: the last module of a forward pass and a cache over (coordinator, module).
        from deepspeed.runtime.zero import parameter_offload
        from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator as Coordinator

        parameter_offload.FWD_MODULE_STACK.clear()
        for member in vars(Coordinator).values():
            for cell in getattr(member, "__closure__", None) or ():
                getattr(cell.cell_contents, "cache_clear", lambda: None)()


@dataclass(frozen=True)
class Fragment:
    """The part of one parameter whose fp32 master this rank holds. All views, so writing in place is writing.

    Attributes:
        name: parameter name.
        parameter: the module's parameter (empty at stage 3 unless gathered).
        offset: index of the first element in the flattened parameter.
        master: (n,) fp32.
        moments: exp_avg and exp_avg_sq, (n,) each.
    """

    name: str
    parameter: nn.Parameter
    offset: int
    master: torch.Tensor
    moments: dict[str, torch.Tensor]


def fragments(made: Any) -> list[Fragment]:
    """This rank's fragments, in the order of the model's parameters. Every rank holds all of them at stage 0."""
    stage, state = made.zero_optimization_stage(), _base(made).state
    copies = {id(p): m for p, m in _copies(made)} if stage == 0 else {}
    result = []
    for name, parameter in made.module.named_parameters():
        if stage == 0:
            flat, start, count, offset = copies[id(parameter)], 0, parameter.numel(), 0
        elif stage == 3:
            zero = parameter._z3_optimizer
            group, start, width = zero.grad_position[zero.get_param_id(parameter)]
            flat = zero.fp32_partitioned_groups_flat[group]
            offset = dist.get_rank() * width
            count = max(0, min(width, parameter.ds_numel - offset))  # the last rank's part is padded
        else:
            mapping = parameter._hp_mapping
            if mapping is None:
                continue
            flat = made.optimizer.single_partition_of_fp32_groups[mapping.param_group_index]
            start, count = mapping.hp_fragment_address.start, mapping.hp_fragment_address.numel
            offset = mapping.lp_fragment_address.start
        if count:
            views = {key: state[flat][key].view(-1).narrow(0, start, count) for key in MOMENTS}
            result.append(Fragment(name, parameter, offset, flat.data.view(-1).narrow(0, start, count), views))
    return result


def set_lr(made: Any, lr: float) -> None:
    for group in _base(made).param_groups:
        group["lr"] = lr


def updates(made: Any) -> int:
    """Updates that AdamW has made: its own count, for the correction of its bias."""
    return int(_base(made).state[_flat_masters(made)[0]]["step"])


def set_updates(made: Any, count: int) -> None:
    for flat in _flat_masters(made):
        _base(made).state[flat]["step"].fill_(count)


def replicated(made: Any) -> bool:
    """Whether every rank holds all masters (stage 0)."""
    return made.zero_optimization_stage() == 0


@contextlib.contextmanager
def gathered(made: Any, parameter: nn.Parameter) -> Iterator[None]:
    """The whole of a parameter for reading and writing; at stages 0 to 2 it is there anyway. Collective."""
    if made.zero_optimization_stage() < 3:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
        yield


def cast_masters(made: Any) -> None:
    """Casts the masters into the module's weights, as the end of an update does. Collective."""
    own: dict[str, list[Fragment]] = {}
    for f in fragments(made):
        own.setdefault(f.name, []).append(f)
    with torch.no_grad():
        for name, parameter in made.module.named_parameters():
            size = getattr(parameter, "ds_numel", parameter.numel())
            full = torch.zeros(size, dtype=torch.float32, device=made.device)
            for f in own.get(name, []):
                full.narrow(0, f.offset, f.master.numel()).copy_(f.master)
            if dist.get_world_size() > 1 and not replicated(made):
                dist.all_reduce(full)
            with gathered(made, parameter):
                parameter.data.copy_(full.view(parameter.shape))


def _base(made: Any) -> torch.optim.Optimizer:
    """The AdamW inside whatever wraps it."""
    return getattr(made.optimizer, "optimizer", made.optimizer)


def _copies(made: Any) -> list[tuple[nn.Parameter, torch.Tensor]]:
    """At stage 0, each parameter and its fp32 master: itself in fp32, a copy in bf16."""
    if not made.bfloat16_enabled():
        return [(p, p) for p in made.module.parameters()]
    groups = zip(made.optimizer.fp16_groups, made.optimizer.fp32_groups, strict=True)
    return [pair for weights, masters in groups for pair in zip(weights, masters, strict=True)]


def _flat_masters(made: Any) -> list[torch.Tensor]:
    stage = made.zero_optimization_stage()
    if stage == 0:
        return [master for _, master in _copies(made)]
    if stage == 3:
        return list(made.optimizer.fp32_partitioned_groups_flat)
    return list(made.optimizer.single_partition_of_fp32_groups)
