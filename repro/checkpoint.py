"""Checkpoints: masters, moments and packed masks as safetensors, a manifest of hashes last, nothing pickled.

A checkpoint is a folder `checkpoint/step-NNNNNNNN` of a run: `rank-R.safetensors` from each rank,
`masks.safetensors` and the rows logged so far from rank 0, then `manifest.json`. A folder without a manifest,
or with a file that doesn't match it, does not count: the one before it is taken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from repro import zero
from repro.errors import UserError
from repro.pruning.pruner import Pruner
from repro.storage import Folder


@dataclass(frozen=True)
class Restored:
    """Where a run goes on: `step` is the next one to train, `rows` what was logged before it."""

    step: int
    rows: dict[str, Any]


def save(folder: Folder, engine: Any, pruner: Pruner, step: int, rows: dict[str, Any], identity: str) -> None:
    """Saves the state before the forward pass of `step`, then removes older checkpoints. Collective.

    Args:
        folder: the run's checkpoint folder.
        engine, pruner: what is saved.
        step: updates done so far.
        rows: JSON-able records to restore with it (curve and layer rows, sums).
        identity: of the spec and its corpus, checked at restoring.
    """
    rank, world = dist.get_rank(), dist.get_world_size()
    name = f"step-{step:08d}"
    place = folder / name
    if rank == 0:
        place.delete()
    dist.barrier()
    place.write(f"rank-{rank}.safetensors", save_tensors(_state(engine)))
    hashes = [""] * world
    own = hashlib.sha256(place.read(f"rank-{rank}.safetensors")).hexdigest()
    dist.all_gather_object(hashes, own)
    if rank == 0:
        files = {f"rank-{r}.safetensors": h for r, h in enumerate(hashes)}
        for file, data in (("masks.safetensors", save_tensors(_pack(pruner.masks))), ("rows.json", _json(rows))):
            place.write(file, data)
            files[file] = hashlib.sha256(data).hexdigest()
        place.write_json(
            "manifest.json",
            {
                "step": step,
                "identity": identity,
                "world": world,
                "zero_stage": engine.zero_optimization_stage(),
                "files": files,
            },
        )
        for old in folder.names():
            if old != name:
                (folder / old).delete()
    dist.barrier()


def restore(folder: Folder, engine: Any, pruner: Pruner, identity: str) -> Restored | None:
    """Loads the newest whole checkpoint that fits this run, or returns None when there is none. Collective."""
    for name in reversed(folder.names()):
        place = folder / name
        manifest = _whole(place)
        same = {
            "identity": identity,
            "world": dist.get_world_size(),
            "zero_stage": engine.zero_optimization_stage(),
        }
        if manifest is None or any(manifest.get(key) != value for key, value in same.items()):
            continue
        saved = load_tensors(place.read(f"rank-{dist.get_rank()}.safetensors"))
        for key, view in _views(engine).items():
            view.copy_(saved[key])
        masks = load_tensors(place.read("masks.safetensors"))
        for key, mask in pruner.masks.items():
            mask.copy_(_unpack(masks[key], mask))
        _refresh(engine)
        pruner.apply()
        return Restored(manifest["step"], place.read_json("rows.json"))
    return None


def _views(engine: Any) -> dict[str, torch.Tensor]:
    views = {f"updates/{i}": counter for i, counter in enumerate(zero.updates(engine))}
    for f in zero.fragments(engine):
        views[f"master/{f.name}"] = f.master
        views.update({f"{moment}/{f.name}": tensor for moment, tensor in f.moments.items()})
    return views


def _state(engine: Any) -> dict[str, torch.Tensor]:
    return {key: view.detach().cpu().contiguous().clone() for key, view in _views(engine).items()}


def _refresh(engine: Any) -> None:
    """Casts the masters into the module's weights, as the end of an update does."""
    if engine.zero_optimization_stage() == 0:
        return  # the weights are the masters
    full = {
        n: torch.zeros(getattr(p, "ds_numel", p.numel()), device=engine.device)
        for n, p in engine.module.named_parameters()
    }
    for f in zero.fragments(engine):
        full[f.name].narrow(0, f.offset, f.master.numel()).copy_(f.master)
    parameters = dict(engine.module.named_parameters())
    with torch.no_grad():
        for name, values in full.items():
            if dist.get_world_size() > 1:
                dist.all_reduce(values)
            with zero.gathered(engine, [parameters[name]]):
                parameters[name].data.copy_(values.view(parameters[name].shape))


def _pack(masks: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One bit a weight."""
    return {name: torch.from_numpy(np.packbits(mask.cpu().numpy().reshape(-1))) for name, mask in masks.items()}


def _unpack(packed: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    bits = np.unpackbits(packed.numpy(), count=like.numel()).astype(bool)
    return torch.from_numpy(bits).view(like.shape)


def _whole(place: Folder) -> dict[str, Any] | None:
    """The manifest, when every file is there and has its hash."""
    if not place.exists("manifest.json"):
        return None
    try:
        manifest = place.read_json("manifest.json")
    except UserError:
        return None
    for file, expected in manifest["files"].items():
        if not place.exists(file) or hashlib.sha256(place.read(file)).hexdigest() != expected:
            return None
    return manifest


def _json(rows: dict[str, Any]) -> bytes:
    import json

    return json.dumps(rows, allow_nan=False).encode()
