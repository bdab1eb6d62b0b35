"""Exports a run as a folder that transformers loads: weights, config, tokenizer and card; optionally compact weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import LlamaForCausalLM

from repro import tables
from repro.corpus import Corpus
from repro.errors import UserError
from repro.models import appearing, bitmask, card, counts, start
from repro.models.appearing import without_places
from repro.models.family import config_in, network
from repro.models.folder import CARD, COMPACT, open_model
from repro.spec import ModelSpec, from_kept
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training.fork import checkpoint_of
from repro.training.model import config_of, prunable

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Dtype = Literal["fp32", "bf16"]
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Exported:
    """The exported step, and the bytes of the prunable weights in both layouts."""

    step: int
    prunable_bytes: int
    compact_bytes: int | None


def export(run: Folder, out: Path, text: Corpus, *, dtype: Dtype = "fp32", compact: bool = False) -> Exported:
    """Writes the newest complete checkpoint of a run to `out`, atomically.

    Args:
        text: the corpus it was trained on, for the tokenizer.
        compact: whether to write the weights a second time to `out/compact`, in the sparse-bitmask layout. Its files
            have other names than transformers expects, so that it rejects the folder instead of initialising weights.

    Raises:
        UserError: `out` exists already, the run has no complete checkpoint, or was trained on another text.
    """
    spec, trained_on = RunFolder(run).spec()
    if text.hash != trained_on:
        message = f"not the text that {spec.run_id} was trained on"
        raise UserError(message, file=text.folder, key="corpus_hash", found=text.hash, expected=trained_on)
    appearing.check(out)
    place, manifest = checkpoint_of(run)
    whole_model = _network(spec.model, place, manifest, text, DTYPES[dtype])
    with appearing.folder(out) as whole:
        whole_model.save_pretrained(whole, max_shard_size=appearing.SHARD)
        text.tokenizer.for_transformers(model_max_length=text.manifest.sequence).save_pretrained(whole)
        shown = without_places(run.read_json("spec.json"))
        (whole / "spec.json").write_text(json.dumps(shown, indent=1), encoding="utf-8")
        is_done = manifest["step"] == spec.schedule.total_steps and run.exists("run.parquet")
        made = card.Card(
            spec=from_kept(shown),
            text=text.manifest,
            step=manifest["step"],
            row=tables.read(run, "run.parquet").to_pylist()[0] if is_done else None,
            provenance=run.read_json("provenance.json") if run.exists("provenance.json") else {},
            counts=counts.count(open_model(str(whole))),
            dtype=dtype,
            compact=compact,
        )
        made.write(whole)
        names = list(prunable(whole_model))
        state = {name: parameter.detach() for name, parameter in whole_model.named_parameters()}
        compact_bytes = _write_compact(state, names, whole) if compact else None
    return Exported(manifest["step"], sum(state[name].nbytes for name in names), compact_bytes)


def load_compact(folder: str) -> LlamaForCausalLM:
    """The model of a compact folder, with weights that are bit-identical to the dense ones.

    Raises:
        UserError: the folder is incomplete, or has another model.
    """
    found = open_model(folder)
    weights = start.read(found)
    try:
        return network(config_in(found), weights)
    except RuntimeError as error:
        raise UserError("weights that don't match the config", file=found.path, found=str(error)[:300]) from error


def _network(
    spec: ModelSpec, place: Folder, manifest: dict[str, Any], text: Corpus, dtype: torch.dtype
) -> LlamaForCausalLM:
    """A standard Llama with the weights of a checkpoint."""
    config = config_of(spec)
    config.use_cache, config.dtype = True, dtype
    config.bos_token_id, config.eos_token_id = text.manifest.bos, text.manifest.eos
    state = {name: weight.to(dtype) for name, weight in start.standard(spec, place, manifest).items()}
    return network(config, state)


def _write_compact(state: State, names: list[str], whole: Path) -> int:
    """Writes the compact folder to `whole`. Returns the bytes of its prunable weights."""
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save_file

    folder = whole / "compact"
    packed = {part: tensor for name in names for part, tensor in bitmask.encoded(name, state[name]).items()}
    tensors = packed | {name: weight for name, weight in state.items() if name not in names}
    split = split_torch_state_dict_into_shards(
        tensors, filename_pattern=COMPACT + "{suffix}.safetensors", max_shard_size=appearing.SHARD
    )
    folder.mkdir()
    for file, held in split.filename_to_tensors.items():
        save_file({name: tensors[name].contiguous() for name in held}, folder / file, metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (folder / f"{COMPACT}.safetensors.index.json").write_text(json.dumps(index, indent=1))
    for file in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", CARD):
        shutil.copyfile(whole / file, folder / file)
    return sum(tensor.nbytes for tensor in packed.values())
