"""Tensors kept in files beside the result, so that a pruned model takes the memory of one block while it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from repro.store.scratch import scratch_prefix

Keep = Callable[[dict[str, torch.Tensor]], Mapping[str, torch.Tensor]]


class Spill:
    """Writes tensors to a folder and gives them back as views of files, which the system may drop from memory and read again.

    The files have no name from then on: their room is free when the tensors, or the process, are gone.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, tensors: dict[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        if not tensors:
            return tensors
        file = self.folder / f"{scratch_prefix('spill')}.safetensors"
        try:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
            kept = load_file(file)
            return {name: kept[name] for name in tensors}
        finally:
            file.unlink(missing_ok=True)
