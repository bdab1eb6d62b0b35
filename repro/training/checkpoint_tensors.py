"""Loads tensors of a checkpoint's files and checks their names, lengths and type against its manifest and the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from repro.errors import UserError
from repro.store.folder import Folder
from repro.training import checkpoint_manifest as manifests
from repro.training.masters import MOMENTS


def refuse_another(place: Folder, manifest: dict[str, Any], wanted: Mapping[str, int]) -> None:
    """Raises UserError if a checkpoint's tensors aren't those of this model, before memory is allocated for them."""
    held = manifests.sizes(manifest)
    for name in (*wanted, *held):
        if held.get(name) != wanted.get(name):
            raise UserError(
                "a checkpoint of another model",
                file=place,
                key="layout",
                found=f"{held[name]:,} weights of {name}" if name in held else f"no {name}",
                expected=f"{wanted[name]:,}" if name in wanted else "no such tensor",
            )


def state(place: Folder, file: str, layout: Mapping[str, list[int]]) -> dict[str, torch.Tensor]:
    """Masters and moments in a file, by KEY/NAME. Raises UserError if it has others than `layout` says."""
    keys = ("master", *MOMENTS)
    return flat(place, file, {f"{key}/{n}": count for n, (_, count) in layout.items() for key in keys}, torch.float32)


def flat(place: Folder, file: str, wanted: Mapping[str, int], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors of a file, which must be flat and have these lengths; a matching hash doesn't ensure that."""
    try:
        found: dict[str, torch.Tensor] = load(place.read(file))
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"not a readable safetensors file: {str(error)[:200]}", file=f"{place}/{file}") from error
    for name in (*wanted, *found):
        if (
            name not in found
            or name not in wanted
            or found[name].shape != (wanted[name],)
            or found[name].dtype != dtype
        ):
            raise UserError(
                "a checkpoint of other tensors than its layout says",
                file=f"{place}/{file}",
                key=name[:200],
                found=f"{found[name].dtype} {tuple(found[name].shape)}" if name in found else "nothing",
                expected=f"{dtype} {(wanted[name],)}" if name in wanted else "nothing",
            )
    return found
