"""The masks of a pruned model, by the names that it has without wrappers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from repro.errors import UserError
from repro.models import start
from repro.models.folder import open_model
from repro.training.masters import full_shape

WRAPPERS = {"module", "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"}  # segments that wrappers add


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
        if mask.dtype != torch.bool or mask.shape != full_shape(parameter):
            raise UserError(
                "a mask that doesn't fit its parameter",
                key=name,
                found=f"{str(mask.dtype).removeprefix('torch.')} {list(mask.shape)}",
                expected=f"bool {list(full_shape(parameter))}, true where a weight stays; FSDP1 keeps no parameters to mask",
            )
        if any(parameter is other for other in found.values()):
            others = ", ".join(other for other, one in found.items() if one is parameter)
            raise UserError(
                "two masks for one parameter, which is tied", key=name, found=others, expected="one of them"
            )
        found[name] = parameter
    order = {id(parameter): number for number, parameter in enumerate(module.parameters())}
    return dict(sorted(found.items(), key=lambda item: order[id(item[1])]))
