"""Recognises folders without readable weights by their file names, and says what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

from repro.errors import UserError

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
