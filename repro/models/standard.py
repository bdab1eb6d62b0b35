"""A run's weights as those of a standard Llama."""

from __future__ import annotations

import math
from typing import Any

import torch

from repro.models.family import shapes_of
from repro.spec import ModelSpec
from repro.store.folder import Folder
from repro.training import checkpoint
from repro.training.model import query_scale


def standard(spec: ModelSpec, place: Folder, manifest: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The fp32 weights of a checkpoint by name, as a standard Llama has them, in the order of the model.

    The queries are multiplied by sqrt(head_dim) if attention scores were not scaled in training (fan_in), so that the
    standard Llama computes the same. Removed weights are 0.0, never -0.0.

    Args:
        place, manifest: a checkpoint that `checkpoint_manifest.examine` found to be complete.

    Raises:
        UserError: the checkpoint has other weights.
    """
    shapes = shapes_of(spec)
    state = checkpoint.masters(place, manifest, {name: math.prod(shape) for name, shape in shapes.items()})
    for name, weight in state.items():
        weight.mul_(query_scale(spec, name)).add_(0.0)  # a mask turns negative weights into -0.0
    return {name: weight.view(shapes[name]) for name, weight in state.items()}
