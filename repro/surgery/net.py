"""Net: the weights of a model of the Llama family with its spec, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from repro.errors import UserError
from repro.models import start
from repro.models.family import EMBEDDING, HEAD, config_in, network, shapes_of, spec_of
from repro.models.folder import ModelFolder, open_model
from repro.models.names import prefix
from repro.spec import ModelSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.store.scratch import scratch_prefix
from repro.training.fork import checkpoint_of
from repro.training.model import config_of

_FLOATS = ("float32", "bfloat16", "float16", "float64")
_BUFFER = "rotary_emb.inv_freq"  # which old files store


@dataclass(frozen=True)
class Net:
    """A model of the Llama family, as transformers stores it.

    Attributes:
        spec: its dimensions.
        weights: all parameters by name, each in the precision it was read in; a tied head is the embedding.
        file: where it was read, for error messages.
        marks: ids of the tokens that begin, end and pad a text, as the config has them.

    Raises:
        UserError: a tensor is missing, unknown, of another shape, not of floating-point numbers, or has numbers that are
            not finite.
    """

    spec: ModelSpec
    weights: Mapping[str, torch.Tensor]
    file: object = None
    marks: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = shapes_of(self.spec)
        for name in {**wanted, **self.weights}:
            found: object = list(self.weights[name].shape) if name in self.weights else "none"
            expected: object = list(wanted[name]) if name in wanted else "none"
            if found != expected:
                message = "weights that don't match the config"
                raise UserError(message, file=self.file, key=name, found=found, expected=expected)
        for name, weight in self.weights.items():
            if (kind := str(weight.dtype).removeprefix("torch.")) not in _FLOATS:
                message, floats = "a type of weights that can't be computed with", f"one of: {', '.join(_FLOATS)}"
                raise UserError(message, file=self.file, key=name, found=kind, expected=floats)
            check_finite(weight, self.file, name)

    def block(self, index: int) -> dict[str, torch.Tensor]:
        """The parameters of a block, by their names in the block."""
        begin = prefix(index)
        return {name.removeprefix(begin): self.weights[name] for name in self.weights if name.startswith(begin)}

    def rebuilt(
        self,
        spec: ModelSpec,
        blocks: Iterable[Mapping[str, torch.Tensor]],
        keep: Keep = dict,
        outside: Mapping[str, torch.Tensor] | None = None,
    ) -> Net:
        """The model with other blocks.

        Args:
            blocks: the parameters of each by their names in the block.
            keep: takes the weights of one block and gives those to keep; see spill.Spill.
            outside: parameters outside the blocks; None: as they are.
        """
        if outside is None:
            outside = {name: weight for name, weight in self.weights.items() if not name.startswith("model.layers.")}
        weights = dict(outside)
        for index, block in enumerate(blocks):
            weights |= keep({f"{prefix(index)}{name}": weight for name, weight in block.items()})
        return replace(self, spec=spec, weights=weights)

    def network(self) -> Any:
        """The transformers model with these weights."""
        config = config_of(self.spec)
        config.dtype, config.use_cache = self.weights[EMBEDDING].dtype, True
        for name, value in self.marks.items():
            setattr(config, name, value)
        return network(config, self.weights)


@dataclass(frozen=True)
class Made:
    """A model that surgery has made, and the record of the surgery: everything that a model's card and tables say about it."""

    net: Net
    record: dict[str, Any]


def net_of(model: str | Path | ModelFolder | Any) -> Net:
    """The weights of a folder, a Hugging Face id, an open folder or a transformers model, whose weights it shares.

    Raises:
        UserError: another architecture, or weights that `Net` refuses.
    """
    if isinstance(model, Net):
        return model
    if isinstance(model, (str, Path)):
        model = open_model(str(model))
    if isinstance(model, ModelFolder):
        config = config_in(model)
        spec = spec_of(config, model.config_file)
        return Net(spec, _without_copies(start.read(model), spec, model.path), model.path, _marks(config))
    spec = spec_of(model.config)
    for index, layer in enumerate(model.model.layers):
        if (scaling := layer.self_attn.scaling) != (usual := spec.shape.per_head**-0.5):
            message = "attention scores that are not scaled as a Llama's"
            expected = f"{usual:.6g}, as in exported weights"
            raise UserError(message, key=f"model.layers.{index}.self_attn.scaling", found=scaling, expected=expected)
    return Net(spec, {name: weight.detach() for name, weight in model.named_parameters()}, None, _marks(model.config))


def net_of_run(run: Folder) -> Net:
    """The weights of a run's newest complete checkpoint, as it would be exported.

    Raises:
        UserError: it has none, or weights that `Net` refuses.
    """
    spec, _ = RunFolder(run).spec()
    return net_at(spec.model, *checkpoint_of(run))


def net_at(model: ModelSpec, place: Folder, manifest: Mapping[str, Any]) -> Net:
    """The weights of a run's complete checkpoint, as they would be exported. Raises UserError if `Net` refuses them."""
    return Net(replace(model, init="transformers"), start.standard(model, place, dict(manifest)), place)


def check_finite(values: torch.Tensor, file: object, key: str) -> None:
    """Raises UserError if any of `values` is NaN or infinite."""
    if not bool(values.isfinite().all()):
        bad = int((~values.isfinite()).sum())
        raise UserError(
            "numbers that are not finite", file=file, key=key, found=f"{bad:,} of {values.numel():,}", expected="none"
        )


def _marks(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name, None) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def _without_copies(weights: dict[str, torch.Tensor], spec: ModelSpec, file: object) -> dict[str, torch.Tensor]:
    """Weights without buffers, and without the copy of the embedding that a tied head may be stored as."""
    kept = {name: weight for name, weight in weights.items() if not name.endswith(_BUFFER)}
    if spec.tied and HEAD in kept:
        if EMBEDDING not in kept or not torch.equal(kept[HEAD], kept[EMBEDDING]):
            message = "a tied head that differs from the embedding"
            expected = f"those of {EMBEDDING}, or tie_word_embeddings false"
            raise UserError(message, file=file, key=HEAD, found="other weights", expected=expected)
        del kept[HEAD]
    return kept


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
