"""Quantised weights: those with separate scales can be counted, packed ones can't."""

from __future__ import annotations

import re
from collections.abc import Mapping

from repro.errors import UserError
from repro.models.folder import ModelFolder
from repro.models.tensors import FLOATS

# Scales of a weight in the same module (compressed-tensors, DeepSeek's FP8, bitsandbytes' int8, ModelOpt).
_SCALE = re.compile(
    r"(?:^|\.)(?:(?:\w+_)?(?:weight|input|output|act|activation|[qkv]|kv|prob|bmm\d?)_(?:global_)?"
    r"(?:scale|scale_inv|scale_2|scales|scaling_factor|zero_point|observer\.\w+)"
    r"|SCB|weight_format|scale|scale_inv|(?:gate_up|down|gate|up)_proj_(?:scale|scale_inv|input_scale))$"
)
_PACKED = (
    (re.compile(r"^(.*)\.qweight$"), "GPTQ or AWQ, several weights in one number"),
    (re.compile(r"^(.*)\.weight_packed$"), "compressed-tensors, several weights in one number"),
    (
        re.compile(r"^(.*)\.weight\.(?:absmax|quant_map|quant_state\.bitsandbytes__\w+)$"),
        "bitsandbytes, 4 bits a weight",
    ),
    (re.compile(r"^(.*_proj)_blocks$"), "MXFP4, 4 bits a weight"),
    (re.compile(r"^(.*)\.(?:B|s|workspace)$"), "Marlin, several weights in one number"),
    (re.compile(r"^(.*)\.(?:codebooks|codes)$"), "AQLM, codebooks"),
    (re.compile(r"^(.*)\.(?:W_q|meta)$"), "HQQ, several weights in one number"),
)


def is_scale(name: str, names: Mapping[str, object]) -> bool:
    """Whether a tensor is a scale or offset of a quantised weight, rather than a weight."""
    if not _SCALE.search(name):
        return False
    module, _, leaf = name.rpartition(".")
    if leaf in ("scale", "scale_inv", "SCB", "weight_format"):  # names too short to be conclusive
        return f"{module}.weight" in names
    return True


def refuse_packed(model: ModelFolder, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises UserError if weights are packed, or are integers whose zeros aren't the weights' zeros.

    8-bit integers are zero exactly where their weights are, if the module has a scale and no non-zero zero point.
    """
    method = model.config.get("quantization_config")
    said = f"; config.json says quant_method {method.get('quant_method')!r:.40}" if isinstance(method, dict) else ""
    for name in shapes:
        for pattern, what in _PACKED:
            found = pattern.search(name)
            if found and f"{found[1]}.weight.bitmask" not in shapes and _is_whole(model, name):
                raise _refused(model, name, f"{what}{said}")
    for name, tensor in model.tensors.items():
        if name in shapes and len(tensor.shape) > 1 and tensor.dtype not in FLOATS and not is_scale(name, shapes):
            if tensor.dtype == "I8" and _scaled(name, shapes) and not _moved(model, name):
                continue
            if tensor.dtype in ("BOOL", "U8", "I64", "I32") and re.search(r"bias$|_ids$|_index$", name):
                continue  # a mask or positions, left to the layout
            raise _refused(model, name, f"{tensor.dtype}{said}")


def _is_whole(model: ModelFolder, name: str) -> bool:
    tensor = model.tensors.get(name)
    return tensor is not None and (tensor.dtype not in FLOATS or ".weight." in name)


def _scaled(name: str, shapes: Mapping[str, object]) -> bool:
    module = name.removesuffix(".weight")
    return any(f"{module}.{scale}" in shapes for scale in ("weight_scale", "SCB", "scale", "weight_scale_inv"))


def _moved(model: ModelFolder, name: str) -> bool:
    shift = model.tensors.get(f"{name.removesuffix('.weight')}.weight_zero_point")
    return shift is not None and any(bits.any() for bits in shift.stretches())


def _refused(model: ModelFolder, name: str, found: str) -> UserError:
    return UserError(
        "quantised weights can't be counted",
        file=model.tensors[name].file if name in model.tensors else model.path,
        key=name,
        found=found,
        expected=f"{', '.join(FLOATS)}, or I8 with a scale and no zero point; else dequantise the model first",
    )
