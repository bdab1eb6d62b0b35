"""MODEL of `repro prune`: a run, a Hugging Face folder or id, or a GGUF file; its weights are read when asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.evaluation.models import corpus_of, run_at, tokenizer_of
from repro.evaluation.reader import TextReader
from repro.models.family import config_in, spec_of
from repro.models.folder import open_model
from repro.paths import expand
from repro.spec import ModelSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.surgery.net import Net, net_of, net_of_run


@dataclass(frozen=True)
class Prunable:
    """A model to prune.

    Attributes:
        name: a run's id, or the folder, file or Hugging Face id.
        reader: its tokenizer, as it reads a text; None if a folder has weights alone.
        tokenizer: the transformers tokenizer to save beside the pruned weights.
    """

    name: str
    spec: ModelSpec
    read: Callable[[], Net]
    reader: TextReader | None
    tokenizer: Any


def source_of(place: str, root: str, known: object = None) -> Prunable:
    """Opens MODEL.

    Args:
        root, known: see evaluation.models.load.

    Raises:
        UserError: there is no model, it is damaged, of another architecture, or a run whose corpus isn't there.
    """
    place = expand(place, key="MODEL")
    if place.lower().endswith(".gguf"):
        return _of_gguf(Path(place))
    run = run_at(place)
    return _of_folder(place) if run is None else _of_run(run, root, known)


def _of_folder(place: str) -> Prunable:
    model = open_model(place)
    spec = spec_of(config_in(model), model.config_file)
    has_tokenizer = not Path(place).is_dir() or any(Path(place).glob("tokenizer*"))
    tokenizer = tokenizer_of(place) if has_tokenizer else None
    reader = None if tokenizer is None else TextReader(tokenizer)
    return Prunable(place, spec, lambda: net_of(model), reader, tokenizer)


def _of_run(run: Folder, root: str, known: object) -> Prunable:
    spec, corpus_hash = RunFolder(run).spec()
    text = corpus_of(spec, corpus_hash, root, known)
    marks = {"bos_token_id": text.manifest.bos, "eos_token_id": text.manifest.eos}
    return Prunable(
        spec.run_id,
        replace(spec.model, init="transformers"),
        lambda: replace(net_of_run(run), marks=marks),
        TextReader.of(text.tokenizer),
        text.tokenizer.for_transformers(model_max_length=text.manifest.sequence),
    )


def _of_gguf(file: Path) -> Prunable:
    """A file of llama.cpp, whose quantised weights become fp32, by transformers."""
    if not file.is_file():
        raise UserError("no such model", file=file, expected="a GGUF file")
    if importlib.util.find_spec("gguf") is None:
        expected = "pip install gguf, or the extra public-model"
        raise UserError("a GGUF file needs a further package", file=file, found="no gguf", expected=expected)
    import torch
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    except Exception as error:  # the libraries may raise anything for untrusted files
        found = f"{type(error).__name__}: {str(error)[:300]}"
        expected = "a GGUF file of an architecture that transformers reads"
        raise UserError("the file could not be loaded", file=file, found=found, expected=expected) from error
    network, said = loaded
    if lost := sorted(said["missing_keys"]):
        raise UserError(
            "a model with missing weights", file=file, key=lost[0], found=f"{len(lost)} missing", expected="all"
        )
    net = replace(net_of(network), file=file)
    tokenizer = tokenizer_of(str(file.parent), gguf_file=file.name)
    return Prunable(str(file), net.spec, lambda: net, TextReader(tokenizer), tokenizer)
