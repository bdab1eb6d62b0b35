"""Opens an untrusted Hugging Face folder: the tensors of its files, its config, its card."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.errors import UserError
from repro.models.tensors import Stored, digest, read_header
from repro.paths import expand
from repro.reading import once
from repro.spec import ModelStart

DENSE, COMPACT = "model", "sparse-bitmask"  # file name stems of the two layouts
CARD = "README.md"
LARGEST_JSON = 2**25  # maximum bytes, as for a header; the index of a trillion parameters has 15 MB
LARGEST_CARD = 2**20  # bytes read of a card; its front matter comes first
MOST_TENSORS = 1_000_000
_WITH_CONFIG = (f"{DENSE}.safetensors", f"{COMPACT}.safetensors")  # files that a config.json beside them describes
_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class ModelFolder:
    """A model's files. card: the beginning of its README, empty if there is none. notes: caveats on what was read."""

    path: Path
    tensors: dict[str, Stored]
    config: dict[str, Any]
    card: str
    notes: tuple[str, ...] = ()

    @property
    def config_file(self) -> Path:
        return (self.path if self.path.is_dir() else self.path.parent) / "config.json"


def open_model(path_or_id: str) -> ModelFolder:
    """The model in a folder, in one safetensors file, or with a Hugging Face id, whose files are downloaded.

    Raises:
        UserError: there is none, it is damaged or of another format, or its weights are pickled.
    """
    path = Path(expand(path_or_id))
    if not path.exists() and _ID.fullmatch(path_or_id):
        path = _fetched(path_or_id)
    if path.is_file():
        beside = path.parent / "config.json"
        explains = path.name in _WITH_CONFIG and beside.is_file()
        return ModelFolder(path, _one_file(path), read_mapping(beside) if explains else {}, "")
    if not path.is_dir():
        raise UserError("no such model", file=path, expected="a folder, a .safetensors file or a Hugging Face id")
    tensors, notes = _tensors(path)
    config = path / "config.json"
    return ModelFolder(path, tensors, read_mapping(config) if config.is_file() else {}, _card(path / CARD), notes)


def start_from(path_or_id: str) -> ModelStart:
    """The spec of a start from a model (see `open_model`). Reads its weights once, for their hash."""
    model = open_model(path_or_id)
    return ModelStart(digest(model.tensors.values()), str(model.path.absolute()))


def read_mapping(file: Path) -> dict[str, Any]:
    """A JSON object of bounded size. Raises UserError if the file contains anything else."""
    if (size := file.stat().st_size) > LARGEST_JSON:
        raise UserError("a file too large", file=file, found=f"{size:,} bytes", expected=f"at most {LARGEST_JSON:,}")
    try:
        found = json.loads(file.read_bytes(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not valid JSON: {str(error)[:200]}", file=file) from error
    if not isinstance(found, dict):
        raise UserError("not a JSON object", file=file, found=type(found).__name__, expected="a mapping")
    return found


def _one_file(path: Path) -> dict[str, Stored]:
    if path.suffix != ".safetensors":
        raise refusal(path.parent, [path.name])
    if re.search(r"-\d+-of-\d+\.safetensors$", path.name):
        raise UserError("one shard of several", file=path, expected="the folder that holds all of them")
    return read_header(path)


def _card(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return stream.read(LARGEST_CARD).decode(encoding="utf-8-sig", errors="replace")


def _tensors(folder: Path) -> tuple[dict[str, Stored], tuple[str, ...]]:
    notes = []
    if (folder / ADAPTER_CONFIG).is_file():
        notes.append(f"{ADAPTER_CONFIG}, an adapter beside the weights, is not applied")
    for stem in (DENSE, COMPACT, CONSOLIDATED):
        single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
        if single.is_file():
            if index.is_file():
                notes.append(f"{single.name} was read, as transformers does, and not the shards of {index.name}")
            return read_header(single), tuple(notes)
        if index.is_file():
            return _sharded(index), tuple(notes)
    raise refusal(folder, sorted(file.name for file in folder.iterdir()))


def _sharded(index: Path) -> dict[str, Stored]:
    """The tensors of all shards, which must match the index."""
    where = read_mapping(index).get("weight_map")
    if not isinstance(where, dict) or not where or not all(isinstance(f, str) for f in where.values()):
        expected = "a mapping of tensor to file"
        raise UserError("an index without a map of its tensors", file=index, key="weight_map", expected=expected)
    names = sorted(set(where.values()))
    for name in names:
        if not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise _no_shard(index, name, "a shard that is not a file of this folder")
    if missing := [name for name in names if not (index.parent / name).is_file()]:
        raise _no_shard(index, ", ".join(missing[:5]), f"{len(missing)} of {len(names)} shards are missing")
    found: dict[str, Stored] = {}
    for name in names:
        shard = read_header(index.parent / name)
        said = {tensor for tensor, file in where.items() if file == name}
        if different := sorted(said ^ set(shard)):
            raise UserError(
                f"{name} doesn't match the index",
                file=index,
                key=f"weight_map.{different[0]}",
                found="not in the file" if different[0] in said else "only in the file",
                expected="the same tensors in the file and in the index",
            )
        found |= shard
        if len(found) > MOST_TENSORS:
            raise UserError("more tensors than any model has", file=index, expected=f"at most {MOST_TENSORS:,}")
    return found


def _no_shard(index: Path, name: str, message: str) -> UserError:
    found = name if name.isprintable() else repr(name)
    expected = "the name of a .safetensors file beside the index"
    return UserError(message, file=index, key="weight_map", found=found, expected=expected)


def _fetched(model_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HTTPError

    wanted = ["*.safetensors", "*.safetensors.index.json", "config.json", ADAPTER_CONFIG, CARD]
    try:
        return Path(snapshot_download(model_id, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except (HTTPError, ValueError, OSError) as error:
        found = f"{model_id}: {str(error).splitlines()[0][:300]}"
        expected = "a folder, a .safetensors file or a Hugging Face id"
        raise UserError("no such model here or on the hub", found=found, expected=expected) from error


ADAPTER_CONFIG = "adapter_config.json"
CONSOLIDATED = "consolidated"  # file name stem of the weights in Meta's and Mistral's own format
WANTED = "model.safetensors, sparse-bitmask.safetensors, or an index of shards"
MERGE = "the base model with the adapter merged into it (peft: merge_and_unload, then save_pretrained)"
LOAD_AND_SAVE = "load it where you trust it, and save it with save_pretrained(FOLDER), which writes safetensors"

# (names, what they are, what to do): the first match counts
_KNOWN = (
    (r"adapter_(?:model|config)\..*", "an adapter (LoRA or the like), not a model", MERGE),
    (r".*\.gguf", "a GGUF file of llama.cpp", "the safetensors that it was made from"),
    (r".*\.(?:bin|pt|pth|pkl|ckpt)(?:\.index\.json)?", "pickled weights are never read", LOAD_AND_SAVE),
    (r".*\.(?:h5|pb|tflite)|saved_model", "a model of TensorFlow", LOAD_AND_SAVE),
    (r".*\.msgpack", "a model of Flax", LOAD_AND_SAVE),
    (r".*\.(?:onnx|onnx_data)", "a model of ONNX", "the safetensors that it was made from"),
    (r".*\.(?:npz|npy)", "arrays of NumPy", LOAD_AND_SAVE),
    (r".*\.(?:engine|plan|mlmodel|mlpackage)", "a compiled model", "the safetensors that it was made from"),
    (r".*-\d+-of-\d+\.safetensors", "shards without their index", "model.safetensors.index.json beside the shards"),
    (r".*\.safetensors", "safetensors under another name", "the path of the .safetensors file itself"),
    (r".*\.incomplete|.*\.part", "a download that isn't complete", WANTED),
)


def refusal(folder: Path, names: list[str]) -> UserError:
    """The error for a folder, or for the single file that was given."""
    for pattern, what, todo in _KNOWN:
        if found := [name for name in names if re.fullmatch(pattern, name, re.IGNORECASE)]:
            return UserError(what, file=_place(folder, names), found=_some(found), expected=todo)
    if "spec.json" in names and "status.json" in names:
        todo = f"python -m repro export {folder} OUT, then inspect OUT"
        return UserError("a run, not a model", file=folder, found="spec.json", expected=todo)
    return UserError("no weights", file=_place(folder, names), found=_some(names) or "an empty folder", expected=WANTED)


def _place(folder: Path, names: list[str]) -> Path:
    return folder / names[0] if len(names) == 1 and (folder / names[0]).is_file() else folder


def _some(names: list[str]) -> str:
    shown = [name if name.isprintable() else repr(name) for name in names[:5]]
    return ", ".join(shown) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
