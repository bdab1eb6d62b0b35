"""A Hugging Face folder, opened without trust: which tensors lie in which of its files, its config, its card."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.models.tensors import Stored, read_header

DENSE, COMPACT = "model", "sparse-bitmask"  # how the files of either layout are called
CARD = "README.md"
_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ModelFolder:
    """What a model's files say. card: the text of its README, empty if there is none."""

    path: Path
    tensors: dict[str, Stored]
    config: dict[str, Any]
    card: str

    @property
    def tied(self) -> bool:
        """Whether the head is the embedding: as the config says or, where it doesn't, because no head is stored."""
        stored = any(name.startswith("lm_head.") for name in self.tensors)
        return bool(self.config.get("tie_word_embeddings", not stored))


def open_model(path_or_id: str) -> ModelFolder:
    """The model in a folder, in one safetensors file, or of a Hugging Face id, of which the files are fetched.

    Raises:
        UserError: there is none, it is damaged, or its weights are pickled, which are never read.
    """
    path = Path(path_or_id)
    if not path.exists() and _ID.fullmatch(path_or_id):
        path = _fetched(path_or_id)
    if path.is_file():
        if path.suffix != ".safetensors":
            raise UserError(
                "not safetensors; pickled weights are never read", file=path, expected="a .safetensors file"
            )
        if re.search(r"-\d+-of-\d+\.safetensors$", path.name):
            raise UserError("one shard of several", file=path, expected="the folder that holds all of them")
        return ModelFolder(path, read_header(path), {}, "")
    if not path.is_dir():
        raise UserError("no such model", file=path, expected="a folder, a .safetensors file or a Hugging Face id")
    config, card = path / "config.json", path / CARD
    return ModelFolder(
        path,
        _tensors(path),
        read_mapping(config) if config.is_file() else {},
        card.read_text(encoding="utf-8", errors="replace") if card.is_file() else "",
    )


def read_mapping(file: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError when the file holds anything else."""
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"not valid JSON: {str(error)[:200]}", file=file) from error
    if not isinstance(found, dict):
        raise UserError("not a JSON object", file=file, found=type(found).__name__, expected="a mapping")
    return found


def _tensors(folder: Path) -> dict[str, Stored]:
    for stem in (DENSE, COMPACT):
        single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
        if single.is_file():
            return read_header(single)
        if index.is_file():
            return _sharded(index)
    pickled = sorted(f.name for f in folder.iterdir() if f.suffix in (".bin", ".pt", ".pth", ".pkl", ".ckpt"))
    raise UserError(
        "pickled weights are never read" if pickled else "no weights",
        file=folder,
        found=", ".join(pickled) or "no safetensors",
        expected=f"{DENSE}.safetensors, {COMPACT}.safetensors, or an index of shards",
    )


def _sharded(index: Path) -> dict[str, Stored]:
    """The tensors of all shards, which must be those of the index."""
    where = read_mapping(index).get("weight_map")
    if not isinstance(where, dict) or not where or not all(isinstance(f, str) for f in where.values()):
        raise UserError("an index without a map", file=index, key="weight_map", expected="tensor: file")
    for name in where.values():
        if not re.fullmatch(r"[\w.-]+\.safetensors", name) or not (index.parent / name).is_file():
            raise UserError(
                "a shard that is not a file of this folder",
                file=index,
                key="weight_map",
                found=name,
                expected="the name of a .safetensors file beside the index",
            )
    found: dict[str, Stored] = {}
    for name in sorted(set(where.values())):
        shard = read_header(index.parent / name)
        said = {tensor for tensor, file in where.items() if file == name}
        if different := sorted(said ^ set(shard)):
            raise UserError(
                f"{name} doesn't hold what the index says",
                file=index,
                key=f"weight_map.{different[0]}",
                found="not in the file" if different[0] in said else "in the file alone",
                expected="the tensors of the file and of the index the same",
            )
        found |= shard
    return found


def _fetched(model_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    wanted = ["*.safetensors", "*.safetensors.index.json", "config.json", CARD]
    try:
        return Path(snapshot_download(model_id, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except (HTTPError, ValueError, OSError) as error:
        raise UserError(
            "no such model here or on the hub",
            found=f"{model_id}: {str(error).splitlines()[0][:300]}",
            expected="a folder, a .safetensors file or a Hugging Face id",
        ) from error
