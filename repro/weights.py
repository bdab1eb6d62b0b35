"""The weights of a run's newest checkpoint as whole tensors: without DeepSpeed, a process group or an optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors.numpy import load

from repro import checkpoint
from repro.errors import UserError
from repro.storage import Folder


def newest(run: Folder) -> tuple[Folder, dict[str, Any]]:
    """The newest whole checkpoint of a run and its manifest.

    Raises:
        UserError: there is none.
    """
    folder, faults = run / "checkpoint", []
    for name in reversed(folder.names()):
        manifest, fault = checkpoint.examine(folder / name)
        if fault is None:
            return folder / name, manifest
        faults.append(f"{name}: {fault}")
    raise UserError("no whole checkpoint", file=folder, found="; ".join(faults) or "none", expected="a trained run")


def weights(run: Folder) -> tuple[int, dict[str, np.ndarray]]:
    """Steps done, and the fp32 masters by parameter name, flat, joined over ranks; removed weights are zero.

    Raises:
        UserError: there is no whole checkpoint, or its files don't hold every weight once.
    """
    place, manifest = newest(run)
    layout: dict[str, dict[str, list[int]]] = manifest["layout"]
    sizes: dict[str, int] = {}
    for parts in layout.values():
        for name, (offset, count) in parts.items():
            sizes[name] = max(sizes.get(name, 0), offset + count)
    found = {name: np.full(size, np.nan, np.float32) for name, size in sizes.items()}
    for file, parts in layout.items():
        saved = load(place.read(file))
        for name, (offset, count) in parts.items():
            found[name][offset : offset + count] = saved[f"master/{name}"]
    for name, values in found.items():
        if np.isnan(values).any():
            raise UserError("a checkpoint without all weights", file=place, key="layout", found=f"gaps in {name}")
    return manifest["step"], found
