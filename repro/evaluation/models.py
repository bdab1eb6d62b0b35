"""MODEL of `repro evaluate`: loads a run's newest checkpoint, or a Hugging Face folder or id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from repro.corpus import Corpus, obtain
from repro.corpus.build import folder_of
from repro.errors import UserError
from repro.evaluation.reader import TextReader
from repro.models.config import check_sizes, without_code
from repro.models.folder import ADAPTER_CONFIG, MERGE, read_mapping
from repro.paths import expand
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, changed_text
from repro.training import checkpoint, model
from repro.training.fork import checkpoint_of

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Model:
    """A model to evaluate.

    Attributes:
        name: the run's id, or the folder or Hugging Face id.
        context: its context length in tokens; None if its config doesn't say.
        fingerprint, step: a run's fingerprint and the updates done; None for other models.
        folder: the run's folder; None for other models.
    """

    name: str
    network: Any
    reader: TextReader
    context: int | None
    fingerprint: str | None = None
    step: int | None = None
    folder: Folder | None = None

    @property
    def precision(self) -> str:
        dtype = next(self.network.parameters()).dtype
        return next((name for name, known in DTYPES.items() if known == dtype), str(dtype))

    def columns(self) -> dict[str, Any]:
        """The model's columns in both tables."""
        return {"model": self.name, "fingerprint": self.fingerprint, "step": self.step, "precision": self.precision}


def load(place: str, precision: str | None, device: torch.device, root: str, known: object = None) -> Model:
    """Loads MODEL.

    Args:
        precision: precision to use; None: the one it was trained or saved in.
        root: root of the corpora, for a run's tokenizer.
        known: a text that is open already, used if it is the corpus that the run was trained on.

    Raises:
        UserError: there is no model, or it is incomplete.
    """
    place = expand(place)
    folder = run_at(place)
    return _pretrained(place, precision, device) if folder is None else _of_run(folder, precision, device, root, known)


def run_at(place: str) -> Folder | None:
    """The folder of a run; None for a Hugging Face folder or id.

    Raises:
        UserError: a folder or an address that has neither.
    """
    folder = Folder.open(place)
    is_pretrained = folder.exists("config.json")  # checked first: an export has the run's spec.json too
    if not is_pretrained and folder.exists("spec.json"):
        return folder
    if "://" in place or (folder.exists() and not is_pretrained):
        raise UserError(
            "no model in this folder",
            file=place,
            found=", ".join(folder.names()[:8]) or "nothing",
            expected="a run's spec.json, or a Hugging Face model's config.json",
        )
    return None


def _of_run(folder: Folder, precision: str | None, device: torch.device, root: str, known: object) -> Model:
    spec, corpus_hash = RunFolder(folder).spec()
    place, manifest = checkpoint_of(folder)
    network: Any = model.build(spec.model, spec.seed)
    network.set_attn_implementation("sdpa")  # it may be given padding, or generate with a cache
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    masters = checkpoint.masters(place, manifest, {name: shape.numel() for name, shape in shapes.items()})
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(masters[name].view(parameter.shape))
    network.to(device, DTYPES[precision or spec.precision])
    text = corpus_of(spec, corpus_hash, root, known)
    return Model(
        name=spec.run_id,
        network=network,
        reader=TextReader.of(text.tokenizer),
        context=spec.model.sequence,
        fingerprint=spec.fingerprint,
        step=manifest["step"],
        folder=folder,
    )


def corpus_of(spec: RunSpec, corpus_hash: str, root: str, known: object) -> Corpus:
    """The corpus that a run was trained on, for its tokenizer: `known` if it is that one. Raises UserError without it."""
    if isinstance(known, Corpus) and known.hash == corpus_hash:
        return known
    name = folder_of(spec.corpus, spec.model.vocab, spec.model.sequence, root).name
    place = Folder.open(root) / name
    if not place.exists("manifest.json"):
        raise UserError(
            f"the corpus of {spec.run_id}, whose tokenizer is needed, is not here",
            file=place,
            key="--corpus",
            found="no such folder",
            expected=f"the root of the corpora, with {name} in it",
        )
    text = obtain(f"{root.rstrip('/')}/{name}")
    if text.hash != corpus_hash:
        raise changed_text(f"{spec.run_id} was trained", place, text.hash, corpus_hash)
    return text


def tokenizer_of(place: str, **options: Any) -> Any:
    """The tokenizer of a Hugging Face folder or id, without running code of its own. options: of from_pretrained.

    Raises:
        UserError: there is none, or it isn't backed by `tokenizers`.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(place, use_fast=True, trust_remote_code=False, **options)
    except Exception as error:  # the libraries may raise anything for untrusted files
        raise _not_loaded(place, error) from error
    if not tokenizer.is_fast:
        raise UserError("a tokenizer that is not backed by `tokenizers`", file=place, expected="a tokenizer.json")
    return tokenizer


def _pretrained(place: str, precision: str | None, device: torch.device) -> Model:
    """Loads only safetensors, without running the model's own code; all weights must be present."""
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            place,
            config=_config(place),
            dtype=DTYPES[precision] if precision else "auto",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except UserError:
        raise
    except Exception as error:  # the libraries may raise anything for untrusted files
        raise _not_loaded(place, error) from error
    network, said = loaded
    tokenizer = tokenizer_of(place)
    if lost := [*said["missing_keys"], *(str(key) for key in said["mismatched_keys"])]:
        raise UserError(
            "a model with missing weights",
            file=place,
            found=f"{len(lost)} would be initialised at random, for example {sorted(lost)[0]}",
            expected="safetensors with every weight",
        )
    context = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return Model(
        name=str(Path(place)),
        network=network.to(device),
        reader=TextReader(tokenizer),
        context=context if isinstance(context, int) and context > 0 else None,
    )


def _not_loaded(place: str, error: Exception) -> UserError:
    return UserError(
        "the model could not be loaded",
        file=place,
        found=f"{type(error).__name__}: {str(error)[:300]}",
        expected="a run's folder, or a Hugging Face folder or id with safetensors and a tokenizer.json",
    )


def _config(place: str) -> Any:
    """The config of a Hugging Face folder or id, checked before transformers reads it.

    Raises:
        UserError: an adapter, whose config would make transformers download another model; or impossible sizes.
        ValueError: transformers has no such model type.
    """
    from transformers import CONFIG_MAPPING, PreTrainedConfig

    folder = Path(place)
    if (folder / ADAPTER_CONFIG).is_file():
        raise UserError("an adapter, not a model", file=folder / ADAPTER_CONFIG, expected=MERGE)
    file = folder / "config.json"
    said = read_mapping(file) if folder.is_dir() else PreTrainedConfig.get_config_dict(place)[0]
    kind = said.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise ValueError(f"transformers has no model_type {kind!r:.80}, and code of the model's own is never run")
    return CONFIG_MAPPING[kind].from_dict(without_code(check_sizes(said, file)))
