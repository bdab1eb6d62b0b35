"""DeepSpeedEngine: weights, moments and gradients for trainer, pruner, checkpoints and evaluation.

DeepSpeed sums gradients over micro-batches and ranks, shards the state and spreads the new weights. Masking and clipping
gradients are ours (repro/training/gradients.py): DeepSpeed's own clipping reads the norm and an overflow flag from the
device in every update, and waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from repro.spec import OptimizerSpec
from repro.training import masters
from repro.training.batch import Batch
from repro.training.gradients import Gradients
from repro.training.masters import MOMENTS, Flat, Fragment, Part

BUCKET = 500_000_000  # maximum number of gradients reduced at once

T = TypeVar("T")


class DeepSpeedEngine:
    """A model with AdamW on this rank, whose fp32 masters and moments may be sharded over the ranks.

    One update is `accumulation` rounds of `losses`, `backward` and `step`. The gradient is the mean over rounds and
    ranks; the last `step` masks it, clips it and moves the weights. AdamW's state exists from the start. Needs
    `distributed.process_group`.

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
            "gradient_clipping": 0.0,
            "zero_optimization": {
                "stage": stage,
                # DeepSpeed allocates the whole bucket in every backward pass: by default 2 GB, whatever the model.
                "reduce_bucket_size": min(weights, BUCKET),
                # Above its default, 1e9, stage 3 would update a model in groups, before the norm of all is known.
                "sub_group_size": 10**12,
                **({"compute_grad_norm": False} if stage in (1, 2) else {}),
            },
            "bf16": {"enabled": precision == "bf16", "check_grad_overflow": False},
            "timers": {"throughput": {"enabled": False}},  # it would wait for the device twice a micro-batch
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
        self._gradients = Gradients(self._adamw, self._flat_masters, self.reduce, optimizer.clip, device)

    @property
    def module(self) -> nn.Module:
        """The model. At ZeRO stage 3 its parameters are empty unless gathered."""
        module: nn.Module = self._made.module
        return module

    @property
    def device(self) -> torch.device:
        return torch.device(self._made.device)

    @property
    def sharded(self) -> bool:
        """Whether the ranks hold different masters, so that results per rank must be reduced."""
        return self.stage > 0 and dist.get_world_size() > 1

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of a batch's losses in nats, a scalar, and the loss of every token, (B, T); fp32, 0 where none is taken.

        Only the sum has a gradient. Collective at stage 3.
        """
        found: tuple[torch.Tensor, torch.Tensor] = self._made(
            input_ids=batch.tokens, position_ids=batch.positions, targets=batch.targets, documents=batch.documents
        )
        return found

    def backward(self, loss: torch.Tensor) -> None:
        """Adds the gradient of a scalar loss of this rank. Collective."""
        self._made.backward(loss)

    def step(self) -> None:
        """Ends a round; after the last round, makes the update. Collective."""
        self._made.step()
        # Stage 3 looks at the gradient's norm itself, summed in fp32, and makes no such update.
        if self._made.skipped_steps:
            self._gradients.norm = torch.full_like(self._gradients.norm, math.nan)

    def mask_gradients(self, kept: Sequence[torch.Tensor]) -> None:
        """From now on, zeroes some gradients before every update.

        Args:
            kept: for each of `flats`, packed bits (repro/pruning/masks.py), 1 where a gradient stays. They may change in place.
        """
        self._gradients.kept = kept

    def gradients(self, update: Callable[[], object]) -> list[torch.Tensor]:
        """The gradients of an update that isn't made, for each of `flats` (`Gradients.of`); `grad_norm` stays. Collective."""
        return self._gradients.of(update)

    def grad_norm(self) -> torch.Tensor:
        """L2 norm of the last update's masked gradient before clipping, of all ranks, a scalar on the device.

        Reading it waits for the device. Not finite if a gradient isn't; then neither are the weights.
        """
        return self._gradients.norm

    def set_lr(self, lr: float) -> None:
        for group in self._adamw.param_groups:
            group["lr"] = lr

    def updates(self) -> int:
        """AdamW's own count of updates, which it uses for bias correction."""
        return int(self._adamw.state[self._flat_masters()[0]]["step"])

    def set_updates(self, count: int) -> None:
        for flat in self._flat_masters():
            self._adamw.state[flat]["step"].fill_(count)

    def shapes(self) -> dict[str, torch.Size]:
        """The full shape of every parameter, by name, in the order of the model."""
        return {name: masters.full_shape(p) for name, p in self.module.named_parameters()}

    @cached_property
    def flats(self) -> list[Flat]:
        """The buffers in which this rank holds masters. Every rank holds all of them at stage 0."""
        shapes, held = self.shapes(), self._flat_masters()
        placed = [self._place(number, *item) for number, item in enumerate(self.module.named_parameters())]
        return masters.joined(held, self._adamw.state, [shape.numel() for shape in shapes.values()], placed)

    def fragments(self) -> list[Fragment]:
        """This rank's fragments of parameters, flat by flat. Every rank holds all of them at stage 0."""
        return [fragment for flat in self.flats for fragment in flat.fragments]

    def cast_masters(self) -> None:
        """Copies the masters to the module's weights, as an update does at its end. Collective."""
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
                with masters.whole(parameter, write=True):
                    parameter.data.copy_(full.view(parameter.shape))

    def reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sums a tensor in place over ranks with different masters, and returns it. Collective."""
        if self.sharded:
            dist.all_reduce(tensor)
        return tensor

    def exchange(self, items: list[T]) -> list[T]:
        """The items of all ranks with different masters, in rank order. Collective."""
        if not self.sharded:
            return items
        lists: list[list[T]] = [[] for _ in range(dist.get_world_size())]
        dist.all_gather_object(lists, items)
        return [item for items in lists for item in items]

    def close(self) -> None:
        """Releases its memory, so that the same process can make another engine."""
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

    def _place(self, number: int, name: str, parameter: Any) -> tuple[int, Part]:
        """Where this rank's master of a parameter lies: the index in `_flat_masters`, and its range, which may be empty."""
        if self.stage == 0:
            return number, Part(name, 0, 0, parameter.numel())
        return masters.place(self._made.optimizer, name, parameter)

    @property
    def _adamw(self) -> torch.optim.Optimizer:
        """The AdamW inside whatever wraps it."""
        adamw: torch.optim.Optimizer = getattr(self._made.optimizer, "optimizer", self._made.optimizer)
        return adamw

    def _flat_masters(self) -> list[torch.Tensor]:
        """What AdamW updates: at stage 0 each parameter by itself, in fp32 the module's own and in bf16 a copy."""
        if self.stage == 0 and not self._made.bfloat16_enabled():
            return list(self.module.parameters())
        if self.stage == 0:
            return [master for group in self._made.optimizer.fp32_groups for master in group]
        return masters.flats(self._made.optimizer)
