"""The tensors in a checkpoint, written, read and checked: masters, moments, masks, and where a run asks for it when each
weight was removed.

Names, lengths and types must be those of the manifest and of the model; a matching hash doesn't ensure that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save

from repro.errors import UserError
from repro.pruning.masks import Masks
from repro.pruning.pruner import Pruner
from repro.store.folder import Folder
from repro.training.checkpoint_manifest import MASKS, REMOVALS, sizes
from repro.training.masters import MOMENTS


def mask_files(pruner: Pruner) -> dict[str, bytes]:
    """The contents of the files of masks and removals, by name."""
    found = {MASKS: save(_named("", pruner.masks))}
    if pruner.removals is not None:
        digits = [_named(f"{place}/", digit) for place, digit in enumerate(pruner.removals.digits)]
        found[REMOVALS] = save({name: bits for digit in digits for name, bits in digit.items()})
    return found


def load_masks(place: Folder, manifest: dict[str, Any], pruner: Pruner) -> None:
    """Reads masks and removals into a pruner.

    Raises:
        UserError: they are of other tensors, don't belong together, or a run that needs them has no removals.
    """
    masks = pruner.masks
    lengths = {name: (size + 7) // 8 for name, size in masks.sizes.items()}
    _read_into(masks, "", flat(place, MASKS, lengths, torch.uint8), f"{place}/{MASKS}")
    events = bisect_left(pruner.schedule.event_steps, manifest["step"])
    if pruner.removals is None or not events:
        return
    file = f"{place}/{REMOVALS}"
    if REMOVALS not in manifest["files"]:
        raise UserError(
            "a checkpoint that doesn't say when weights were removed",
            file=file,
            key="pruning.choose",
            found=f"last, and no {REMOVALS}",
            expected="one of a run that chooses the last removed first",
        )
    pruner.removals.grow(events)
    digits = pruner.removals.digits
    wanted = {f"{digit}/{name}": length for digit in range(len(digits)) for name, length in lengths.items()}
    found = flat(place, REMOVALS, wanted, torch.uint8)
    for number, digit in enumerate(digits):
        _read_into(digit, f"{number}/", found, file)
    gone = Masks.all_kept(masks.shapes, masks.buffer.device).minus(masks)
    removed = pruner.removals.removed()
    if not torch.equal(removed.buffer, gone.buffer):
        raise UserError(
            "a record of removals that doesn't match the masks",
            file=file,
            found=f"{sum(removed.counts().values()):,} removed weights",
            expected=f"the {sum(gone.counts().values()):,} that {MASKS} has no bit of",
        )
    if (latest := pruner.removals.latest()) > events:
        raise UserError("a record of removals by later events", file=file, found=latest, expected=f"at most {events}")


def refuse_others(place: Folder, step: int, pruner: Pruner) -> None:
    """Raises UserError if the masks keep another number of weights than the schedule before `step`."""
    schedule, total = pruner.schedule, pruner.total
    due = schedule.weight_steps(total, step) - schedule.weight_steps(total, step - 1) if step else total
    if pruner.nonzero != due:
        raise UserError(
            "masks of another schedule",
            file=f"{place}/{MASKS}",
            found=f"{pruner.nonzero:,} weights left",
            expected=f"{due:,}, the schedule's count before step {step}",
        )


def refuse_another(place: Folder, manifest: dict[str, Any], wanted: Mapping[str, int]) -> None:
    """Raises UserError if a checkpoint's tensors aren't those of this model, before memory is allocated for them."""
    held = sizes(manifest)
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
    """The tensors of a file, which must be flat and have these lengths."""
    try:
        found: dict[str, torch.Tensor] = load_tensors(place.read(file))
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"not a readable safetensors file: {str(error)[:200]}", file=f"{place}/{file}") from error
    held = {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()}
    for name in (*wanted, *found):
        if name not in wanted or held.get(name) != ((wanted[name],), dtype):
            raise UserError(
                "a checkpoint of other tensors than its layout says",
                file=f"{place}/{file}",
                key=name[:200],
                found=f"{found[name].dtype} {tuple(found[name].shape)}" if name in found else "nothing",
                expected=f"{dtype} {(wanted[name],)}" if name in wanted else "nothing",
            )
    return found


# -------------------------------------------------------------------------------------------------- inside


def _named(prefix: str, masks: Masks) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": masks.bits(name).cpu() for name in masks.sizes}


def _read_into(masks: Masks, prefix: str, found: dict[str, torch.Tensor], file: str) -> None:
    for name, size in masks.sizes.items():
        bits = found[f"{prefix}{name}"]
        if (rest := size % 8) and int(bits[-1]) >> rest:
            raise UserError(
                "a mask of more weights than its tensor has",
                file=file,
                key=f"{prefix}{name}",
                found=f"bits set beyond the last of {size:,} weights",
                expected="0 there",
            )
        masks.bits(name).copy_(bits)
