"""DeepSpeedEngine: the Engine implementation on DeepSpeed, which knows where each ZeRO stage keeps the fp32 masters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from repro.spec import OptimizerSpec
from repro.training.engine import MOMENTS, Fragment

BUCKET = 500_000_000  # maximum number of gradients reduced at once

T = TypeVar("T")


class DeepSpeedEngine:
    """An `engine.Engine` on DeepSpeed, with AdamW whose state exists from the start. Needs `distributed.process_group`.

    The optimizer is passed as a torch object, because by name DeepSpeed would compile its own. It is fused, one call
    for all parameters, with weight decay on every parameter (paper, section 1).

    Args:
        network: the model, with the forward signature of a transformers causal language model; moved to `device`.
        optimizer: settings of AdamW and gradient clipping.
        stage: ZeRO stage, 0 to 3.
        precision: "fp32" or "bf16" for the module's weights; masters are fp32.
        micro_batch: sequences per forward pass.
        accumulation: rounds per update.
        device: this rank's device.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerSpec,
        *,
        stage: int,
        precision: str,
        micro_batch: int,
        accumulation: int,
        device: torch.device,
    ):
        import deepspeed

        adamw = torch.optim.AdamW(
            network.parameters(),
            lr=optimizer.lr,
            betas=(optimizer.beta1, optimizer.beta2),
            eps=optimizer.eps,
            weight_decay=optimizer.weight_decay,
            fused=True,
        )
        weights = sum(p.numel() for p in network.parameters())
        config = {
            "train_micro_batch_size_per_gpu": micro_batch,
            "gradient_accumulation_steps": accumulation,
            "gradient_clipping": optimizer.clip,
            # DeepSpeed allocates the whole bucket in every backward pass: by default 2 GB, whatever the model.
            "zero_optimization": {"stage": stage, "reduce_bucket_size": min(weights, BUCKET)},
            "bf16": {"enabled": precision == "bf16"},
            # With bf16, stages 2 and 3 can sum micro-batches in fp32; DeepSpeed's stages 0 and 1 sum in bf16.
            "data_types": {"grad_accum_dtype": "fp32" if stage > 1 else None},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
        }
        self.stage, self.accumulation = stage, accumulation
        self._made: Any  # DeepSpeed is untyped; its object doesn't leave this class
        self._made, *_ = deepspeed.initialize(
            model=network.to(device), optimizer=adamw, config=config, dist_init_required=False
        )
        for flat in self._flat_masters():
            # AdamW does this at its first update; pruning events and resuming need the moments before.
            state = {"step": torch.zeros((), dtype=torch.float32, device=flat.device)}
            state.update({name: torch.zeros_like(flat, requires_grad=False) for name in MOMENTS})
            self._adamw.state[flat] = state

    @property
    def module(self) -> nn.Module:
        module: nn.Module = self._made.module
        return module

    @property
    def device(self) -> torch.device:
        return torch.device(self._made.device)

    @property
    def sharded(self) -> bool:
        return self.stage > 0 and dist.get_world_size() > 1

    @property
    def skipped_steps(self) -> int:
        return int(self._made.skipped_steps)

    def logits(self, tokens: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
        logits: torch.Tensor = self._made(input_ids=tokens, position_ids=positions, use_cache=False).logits
        return logits

    def backward(self, loss: torch.Tensor) -> None:
        self._made.backward(loss)

    def step(self) -> None:
        self._made.step()

    def grad_norm(self) -> float | None:
        norm = self._made.get_global_grad_norm()
        return None if norm is None else float(norm)

    def set_lr(self, lr: float) -> None:
        for group in self._adamw.param_groups:
            group["lr"] = lr

    def updates(self) -> int:
        return int(self._adamw.state[self._flat_masters()[0]]["step"])

    def set_updates(self, count: int) -> None:
        for flat in self._flat_masters():
            self._adamw.state[flat]["step"].fill_(count)

    def shapes(self) -> dict[str, torch.Size]:
        return {name: torch.Size(getattr(p, "ds_shape", p.shape)) for name, p in self.module.named_parameters()}

    def fragments(self) -> list[Fragment]:
        state = self._adamw.state
        copies = {id(p): master for p, master in self._copies()} if self.stage == 0 else {}
        result = []
        parameter: Any  # DeepSpeed adds attributes that say where its master is
        for name, parameter in self.module.named_parameters():
            if self.stage == 0:
                flat, start, count, offset = copies[id(parameter)], 0, parameter.numel(), 0
            elif self.stage == 3:
                zero = parameter._z3_optimizer
                group, start, width = zero.grad_position[zero.get_param_id(parameter)]
                flat = zero.fp32_partitioned_groups_flat[group]
                offset = dist.get_rank() * width
                count = max(0, min(width, parameter.ds_numel - offset))  # the last rank's part is padded
            else:
                mapping = parameter._hp_mapping
                if mapping is None:
                    continue
                flat = self._made.optimizer.single_partition_of_fp32_groups[mapping.param_group_index]
                start, count = mapping.hp_fragment_address.start, mapping.hp_fragment_address.numel
                offset = mapping.lp_fragment_address.start
            if count:
                moments = {key: state[flat][key].view(-1).narrow(0, start, count) for key in MOMENTS}
                result.append(Fragment(name, offset, flat.data.view(-1).narrow(0, start, count), moments))
        return result

    @contextlib.contextmanager
    def gathered(self, parameter: nn.Parameter) -> Iterator[None]:
        if self.stage < 3:
            yield
            return
        import deepspeed

        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0):
            yield

    def cast_masters(self) -> None:
        own: dict[str, list[Fragment]] = {}
        for f in self.fragments():
            own.setdefault(f.name, []).append(f)
        shapes = self.shapes()
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                full = torch.zeros(shapes[name].numel(), dtype=torch.float32, device=self.device)
                for f in own.get(name, []):
                    full.narrow(0, f.offset, f.master.numel()).copy_(f.master)
                self.reduce(full)
                with self.gathered(parameter):
                    parameter.data.copy_(full.view(parameter.shape))

    def reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.sharded:
            dist.all_reduce(tensor)
        return tensor

    def exchange(self, items: list[T]) -> list[T]:
        if not self.sharded:
            return items
        lists: list[list[T]] = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(lists, items)
        return [item for items in lists for item in items]

    def close(self) -> None:
        self._made.destroy()
        if self.stage == 3:
            # DeepSpeed never frees these: the last forward pass's module and a cache over (coordinator, module).
            from deepspeed.runtime.zero import parameter_offload
            from deepspeed.runtime.zero.partitioned_param_coordinator import (
                PartitionedParameterCoordinator as Coordinator,
            )

            parameter_offload.FWD_MODULE_STACK.clear()
            for member in vars(Coordinator).values():
                for cell in getattr(member, "__closure__", None) or ():
                    getattr(cell.cell_contents, "cache_clear", lambda: None)()

    # ---------------------------------------------------------------- inside

    @property
    def _adamw(self) -> torch.optim.Optimizer:
        """The AdamW inside whatever wraps it."""
        adamw: torch.optim.Optimizer = getattr(self._made.optimizer, "optimizer", self._made.optimizer)
        return adamw

    def _copies(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """At stage 0, each parameter and its fp32 master: in fp32 the parameter itself, in bf16 a copy."""
        if not self._made.bfloat16_enabled():
            return [(p, p) for p in self.module.parameters()]
        groups = zip(self._made.optimizer.fp16_groups, self._made.optimizer.fp32_groups, strict=True)
        return [pair for weights, masters in groups for pair in zip(weights, masters, strict=True)]

    def _flat_masters(self) -> list[torch.Tensor]:
        if self.stage == 0:
            return [master for _, master in self._copies()]
        if self.stage == 3:
            return list(self._made.optimizer.fp32_partitioned_groups_flat)
        return list(self._made.optimizer.single_partition_of_fp32_groups)
