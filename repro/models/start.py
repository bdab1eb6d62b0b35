"""Reads weights: a model folder's, as the starting point of a run, and a checkpoint's, as those of a standard Llama."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch

from repro.errors import UserError
from repro.models import bitmask
from repro.models.config import check_sizes
from repro.models.family import shapes_of
from repro.models.folder import ModelFolder, open_model
from repro.models.tensors import digest
from repro.spec import ModelSpec, ModelStart
from repro.store.folder import Folder
from repro.training import checkpoint
from repro.training.model import config_of, query_scale

SAME = ("num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act", "rms_norm_eps", "tie_word_embeddings")
OF_LLAMA = ("attention_bias", "mlp_bias")  # a Qwen-2 has its own biases


def weights(spec: ModelSpec, start: ModelStart, shapes: Mapping[str, torch.Size]) -> dict[str, torch.Tensor]:
    """The weights that a run starts from, by the run's parameter names: flat, fp32, with the run's scale of queries.

    Raises:
        UserError: the weights aren't those that the spec names, or are of another model.
    """
    found = opened(start)
    _check_same_kind(found, spec)
    theirs = read(found)
    for name in {**shapes, **theirs}:
        mine, others = list(shapes.get(name, ())) or "none", list(theirs[name].shape) if name in theirs else "none"
        if mine != others:
            raise UserError("a model of another shape", file=found.path, key=name, found=others, expected=mine)
    return {name: (theirs[name].float() / query_scale(spec, name)).flatten().contiguous() for name in shapes}


def opened(start: ModelStart) -> ModelFolder:
    """The model folder of a start. Raises UserError if its weights aren't those that the spec names."""
    found = open_model(start.model)
    if (sha256 := digest(found.tensors.values())) != start.sha256:
        message = "not the weights that the run's spec names"
        raise UserError(message, file=found.path, key="start.sha256", found=sha256, expected=start.sha256)
    return found


def check_model(found: ModelSpec, expected: ModelSpec, file: object) -> None:
    """Raises UserError unless a folder's model is the expected one, whatever their context and initialisation."""
    for name in (one.name for one in fields(ModelSpec) if one.name not in ("sequence", "init")):
        theirs, ours = getattr(found, name), getattr(expected, name)
        if theirs != ours:
            raise UserError("a model of another shape", file=file, key=name, found=theirs, expected=ours)


def read(model: ModelFolder) -> dict[str, torch.Tensor]:
    """All weights of a model in dense form, from either layout. Raises UserError if compact parts don't match."""
    from safetensors.torch import load_file

    bitmask.stored(model.tensors)
    files = sorted({tensor.file for tensor in model.tensors.values()})
    return bitmask.decoded({name: tensor for file in files for name, tensor in load_file(file).items()})


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


def _check_same_kind(model: ModelFolder, spec: ModelSpec) -> None:
    """Compares what shapes don't show. Keys missing from a config have their default value."""

    def differ(key: str | None, found: Any, expected: Any) -> UserError:
        return UserError(
            "a model of another kind", file=model.path / "config.json", key=key, found=found, expected=expected
        )

    ours = config_of(spec)
    if model.config.get("model_type") != ours.model_type:
        raise differ("model_type", model.config.get("model_type", "no config.json"), ours.model_type)
    try:
        theirs = type(ours).from_dict(check_sizes(model.config, model.path / "config.json"))
    except (TypeError, ValueError) as error:
        raise differ(None, str(error)[:300], "a config that transformers reads") from error
    for key in SAME + (OF_LLAMA if ours.model_type == "llama" else ()):
        mine, found = getattr(ours, key), getattr(theirs, key, None)
        if key == "head_dim" and found is None:
            found = theirs.hidden_size // theirs.num_attention_heads
        if found != mine:
            raise differ(key, found, mine)
    rope = {key: value for key, value in (theirs.rope_parameters or {}).items() if value is not None}
    if rope != ours.rope_parameters:
        raise differ("rope_parameters", rope, ours.rope_parameters)
