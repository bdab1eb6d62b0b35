"""`hold`: from now on removed weights stay exactly zero, whatever optimizer and whatever sharding trains the model.

Masks go by the names that parameters have without wrappers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from repro.errors import UserError
from repro.holding import places
from repro.models import start
from repro.models.folder import open_model
from repro.pruning.masks import Masks, packed
from repro.training import masters

WRAPPERS = {"module", "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"}  # segments that wrappers add


class MaskBrokenError(RuntimeError):
    """Removed weights are not zero."""


class HeldMasks:
    """Masks that are held; see `hold`.

    Attributes:
        removed: number of removed weights of the model.
    """

    def __init__(self, model: nn.Module, optimizer: Any, masks: Mapping[str, torch.Tensor]):
        chain = list(places.optimizers(optimizer))
        inner = chain[-1] if chain else None
        if not isinstance(inner, torch.optim.Optimizer):
            raise UserError(
                "not a torch optimizer", found=type(inner).__name__, expected="the optimizer that updates this model"
            )
        if not masks:
            raise UserError(
                "no masks", key="masks", found="none", expected="one or more: `masks_of` a model with zeros"
            )
        self._parameters = parameters_of(model, masks)
        shapes = {name: masters.full_shape(parameter) for name, parameter in self._parameters.items()}
        device = next((p.device for p in self._parameters.values()), torch.device("cpu"))
        self._bits = Masks(shapes, device)
        for name in shapes:
            self._bits.bits(name).copy_(packed(masks[name].to(device).flatten()))
        self.removed = sum(mask.numel() - int(mask.sum()) for mask in masks.values())
        self._places = places.places_of(self._parameters, self._bits, optimizer)
        self._inner = inner
        self._zero_all()
        self._handles = [inner.register_step_post_hook(lambda *_: self._zero_weights())]
        sharded = False
        for name, parameter in self._parameters.items():
            if places.is_sharded_tensor(parameter):
                sharded = True
            elif parameter.requires_grad:
                self._handles.append(parameter.register_hook(self._masking(name)))
        if sharded:
            self._handles.append(inner.register_step_pre_hook(lambda *_: self.mask_gradients()))

    def check(self) -> int:
        """Checks to the bit that every removed weight is zero, in the optimizer's copy and in the model's. Collective.

        Returns:
            The number of removed weights of the model.

        Raises:
            MaskBrokenError: some are not; on every rank.
        """
        strays = [place.strays() for place in self._places]
        names = [name for place, found in zip(self._places, strays, strict=True) if int(found) for name in place.names]
        count = sum(int(found) for found in strays)
        for name, parameter in self._parameters.items():
            if not places.is_sharded_tensor(parameter):
                with masters.whole(parameter):
                    found = int(places.Place((name,), parameter, self._bits.bits(name)).strays())
                count, names = count + found, [*names, *([name] if found else [])]
        everywhere = _sum(count, self._bits.buffer.device)
        if everywhere:
            where = ", ".join(dict.fromkeys(names)) or "on other ranks"
            raise MaskBrokenError(f"{everywhere:,} removed weights are not zero: {where}")
        return self.removed

    def mask_gradients(self) -> None:
        """Zeroes the gradients of removed weights where FSDP2 has put them; elsewhere they never arise.

        Called before every update. Whoever clips by the gradient's norm calls it before, so that removed weights don't count.
        """
        for place in self._places:
            if places.is_sharded_tensor(place.owner) and place.owner.grad is not None:
                place.zero(place.owner.grad)

    def release(self) -> None:
        """Lets go: from now on removed weights may move."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    # ---------------------------------------------------------------- inside

    def _masking(self, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def mask(gradient: torch.Tensor) -> torch.Tensor:
            return gradient.masked_fill(~self._bits.full(name), 0)  # zero even where the gradient isn't finite

        return mask

    def _zero_weights(self) -> None:
        """After an update: whatever the optimizer did, what is removed is zero."""
        with torch.no_grad():
            for place in self._places:
                place.zero(place.owner)

    def _zero_all(self) -> None:
        """At the beginning: weights, masters, gradients and the optimizer's state. Collective at stage 3."""
        with torch.no_grad():
            self._zero_weights()
            for place in self._places:
                state = self._inner.state.get(place.owner, {})
                for tensor in (place.owner.grad, *state.values()):
                    if isinstance(tensor, torch.Tensor) and tensor.shape == place.owner.shape:
                        place.zero(tensor)
            for name, parameter in self._parameters.items():
                if not places.is_sharded_tensor(parameter):
                    with masters.whole(parameter, write=True):
                        places.Place((name,), parameter, self._bits.bits(name)).zero(parameter.data)


def hold(model: nn.Module, optimizer: Any, masks: Mapping[str, torch.Tensor]) -> HeldMasks:
    """Keeps removed weights at zero from now on, exactly: under plain PyTorch, DDP, FSDP2 and DeepSpeed ZeRO 0 to 3.

    They become zero now, with their masters and the optimizer's state. While training, their gradients are zeroed as they
    arise, before they are summed over ranks and before a norm is taken of them (under FSDP2: before the update; see
    `HeldMasks.mask_gradients`); after each update they are zeroed where the optimizer keeps them, which makes masks exact for
    every optimizer. Costs one bit a masked weight on each rank. Collective at ZeRO stage 3.

    Args:
        model: the model as it is trained: after `fully_shard`, or DeepSpeed's engine or its module.
        optimizer: the optimizer that updates it, or what wraps that: accelerate's or DeepSpeed's (`engine.optimizer`).
        masks: bool tensors in the full shapes of parameters by name, true where a weight stays; see `masks_of`.

    Raises:
        UserError: a mask that fits no parameter, or an optimizer whose layout isn't known.
    """
    return HeldMasks(model, optimizer, masks)


def _sum(count: int, device: torch.device) -> int:
    if not (dist.is_available() and dist.is_initialized()):
        return count
    total = torch.tensor([count], device=device)
    dist.all_reduce(total)
    return int(total)


def masks_of(model: nn.Module | str | Path) -> dict[str, torch.Tensor]:
    """The masks of a pruned model: of each matrix with exact zeros, which of its weights are not zero.

    Args:
        model: a module whose parameters are whole, before DeepSpeed or FSDP takes them; or a folder of safetensors, or a
            Hugging Face id.

    Returns:
        Bool tensors by parameter, in the parameters' shapes, on the CPU.
    """
    weights: Mapping[str, torch.Tensor]
    if isinstance(model, nn.Module):
        weights = {plain(name): parameter.detach() for name, parameter in model.named_parameters()}
    else:
        weights = start.read(open_model(str(model)))
    kept = {name: (weight != 0).cpu() for name, weight in weights.items() if weight.dim() == 2}
    return {name: mask for name, mask in kept.items() if not bool(mask.all())}


def plain(name: str) -> str:
    """A parameter's name without the segments of wrappers: DDP, torch.compile, activation checkpoints."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def parameters_of(module: nn.Module, masks: Mapping[str, torch.Tensor]) -> dict[str, nn.Parameter]:
    """The parameters that masks are for, in the order of the model.

    Args:
        masks: by name; a tied parameter goes by any of its names.

    Raises:
        UserError: no such parameter, two masks for one, or a mask of another shape or type.
    """
    named = {plain(name): parameter for name, parameter in module.named_parameters(remove_duplicate=False)}
    found: dict[str, nn.Parameter] = {}
    for name, mask in masks.items():
        parameter = named.get(name)
        if parameter is None:
            some = ", ".join(list(named)[:3])
            raise UserError(
                "a mask for a parameter that the model doesn't have",
                key=name,
                found="no such parameter",
                expected=f"as {some}, ...",
            )
        if mask.dtype != torch.bool or mask.shape != masters.full_shape(parameter):
            raise UserError(
                "a mask that doesn't fit its parameter",
                key=name,
                found=f"{str(mask.dtype).removeprefix('torch.')} {list(mask.shape)}",
                expected=f"bool {list(masters.full_shape(parameter))}, true where a weight stays; FSDP1 keeps no parameters to mask",
            )
        if any(parameter is other for other in found.values()):
            others = ", ".join(other for other, one in found.items() if one is parameter)
            raise UserError(
                "two masks for one parameter, which is tied", key=name, found=others, expected="one of them"
            )
        found[name] = parameter
    order = {id(parameter): number for number, parameter in enumerate(module.parameters())}
    return dict(sorted(found.items(), key=lambda item: order[id(item[1])]))
