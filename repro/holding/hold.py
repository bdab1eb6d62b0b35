"""`hold`: from now on removed weights stay exactly zero, whatever optimizer and whatever sharding trains the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from repro.errors import UserError
from repro.holding import places
from repro.holding.masks import parameters_of
from repro.pruning.masks import Masks, packed
from repro.training import masters


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
