"""Layouts from transformers' own classes, built on the meta device: without memory for weights or remote code."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import huggingface_hub.constants
import psutil
import torch
import transformers
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
from transformers.initialization import meta_device_safe_creation_ops, no_init_weights
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from repro.models.config import check_sizes, says_layers, ties, without_code
from repro.models.rules import Layout, Slot

TASKS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "MODEL_FOR_PRETRAINING_MAPPING_NAMES",
    "MODEL_MAPPING_NAMES",
)
HEADROOM = 3 * 2**29  # maximum bytes of address space for building a tree; public models need a few MB
LEAST_PARAMETERS = 3_000  # parameters that a tree may always have, however few are stored
_OF_WEIGHTS = ("quantization_config", "compression_config", "dtype", "torch_dtype")  # irrelevant for the tree
_EXPERTS = re.compile(r"Expert")
_ROUTER = re.compile(r"Router|Gating|Gate$")


class NotKnown(Exception):
    """transformers has no class for a config, or can't build it."""


class _TooLarge(Exception):
    pass


def layouts(config: dict[str, Any], stored: int, file: object = None) -> Iterator[Layout]:
    """Possible layouts of a config: the class that it names, then those of its model type.

    Args:
        stored: number of tensors in the files, which bounds the tree.

    Raises:
        NotKnown: transformers doesn't know the model type, or can't build any of its classes.
        UserError: a number in the config is larger than any model's.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise NotKnown(f"transformers {transformers.__version__} has no such model type" if kind else "no model_type")
    said = {key: value for key, value in without_code(check_sizes(config, file)).items() if key not in _OF_WEIGHTS}
    if (tied := ties(said)) is not None:
        said["tie_word_embeddings"] = tied
    failed, made = "", 0
    for name in _classes(kind, config.get("architectures")):
        try:
            yield _layout(name, kind, said, max(LEAST_PARAMETERS, 4 * stored))
            made += 1
        except _TooLarge as error:
            raise NotKnown(str(error)) from error
        except Exception as error:  # its classes may raise anything for untrusted values
            failed = failed or f"{name} of transformers: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if not made:
        raise NotKnown(failed or f"transformers has no weights of a {kind}")


def _classes(kind: str, architectures: object) -> list[str]:
    """Names of model classes; first the one that the config names, if it is a class of transformers for this type."""
    of_type: list[str] = []
    for task in TASKS:
        found = getattr(modeling_auto, task, {}).get(kind, ())
        of_type += [found] if isinstance(found, str) else list(found)
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    first = [named] if isinstance(named, str) and _is_model(named, kind) else []
    return list(dict.fromkeys(first + of_type))


def _is_model(name: str, kind: str) -> bool:
    found = getattr(transformers, name, None) if re.fullmatch(r"[A-Z]\w{1,80}", name) else None
    return (
        isinstance(found, type)
        and issubclass(found, transformers.PreTrainedModel)
        and getattr(found.config_class, "model_type", None) == kind
    )


def _layout(name: str, kind: str, said: dict[str, Any], most: int) -> Layout:
    made = getattr(transformers, name)
    with _guarded(most):
        config = CONFIG_MAPPING[kind].from_dict(_copy(said))
        config._attn_implementation = "eager"
        with torch.device("meta"), no_init_weights(), meta_device_safe_creation_ops():
            model = made(config)
    slots = dict(_slots(model))
    transforms = get_model_conversion_mapping(model)
    renamings = [t for t in transforms if isinstance(t, WeightRenaming)]
    converters = [t for t in transforms if isinstance(t, WeightConverter)]
    exact = says_layers(said)
    by_pattern: dict[str, str | None] = {}
    for slot_name, slot in slots.items():
        other = by_pattern.setdefault(_pattern(slot_name), slot_name)
        if other is None or slots[other].kind != slot.kind:
            by_pattern[_pattern(slot_name)] = None

    def find(stored: str) -> str | None:
        found = stored
        if found not in slots:
            found, _ = rename_source_key(stored, renamings, converters, model.base_model_prefix, slots)
        if found in slots or exact:
            return found if found in slots else None
        for candidate in (found, f"{model.base_model_prefix}.{found}"):
            if (slot_name := by_pattern.get(_pattern(candidate))) is not None:
                return slot_name
        return None

    splits = any(len(converter.target_patterns) > 1 for converter in converters)
    return Layout(
        name=name,
        slots=slots,
        find=find,
        tied=dict(model.all_tied_weights_keys),
        ignored=_matcher(model._keys_to_ignore_on_load_unexpected),
        exact=exact,
        optional=(lambda _: True) if splits else _matcher(model._keys_to_ignore_on_load_missing),
    )


def _slots(model: nn.Module) -> Iterator[tuple[str, Slot]]:
    for name, module in model.named_modules(remove_duplicate=False):
        for leaf, weight in module.named_parameters(recurse=False, remove_duplicate=False):
            yield f"{name}.{leaf}".lstrip("."), _slot(module, leaf, weight)
        for leaf, buffer in module.named_buffers(recurse=False, remove_duplicate=False):
            yield f"{name}.{leaf}".lstrip("."), Slot("buffer", tuple(buffer.shape))


def _slot(module: nn.Module, leaf: str, weight: nn.Parameter) -> Slot:
    """Linear: weights of linear modules, and of experts and routers, which are linear modules in older files."""
    shape, name = tuple(weight.shape), type(module).__name__
    if leaf == "weight" and isinstance(module, (nn.Linear, Conv1D)):
        return Slot("linear", shape, isinstance(module, Conv1D))
    if isinstance(module, nn.Embedding):
        return Slot("embedding", shape)
    if _EXPERTS.search(name) and len(shape) > 1 and "bias" not in leaf:
        return Slot("linear", shape, bool(getattr(module, "is_transposed", name == "Llama4TextExperts")))
    if _ROUTER.search(name) and leaf == "weight" and len(shape) == 2:
        return Slot("linear", shape)
    return Slot("other", shape)


@contextmanager
def _guarded(most: int) -> Iterator[None]:
    """Bounds memory and parameters (`most`) while a tree is built, and disables network access and logging."""
    seen = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal seen
        seen += 1
        if seen > most:
            raise _TooLarge(f"a config of more than {most:,} tensors, many times those that are stored")

    verbosity, offline = logging.get_verbosity(), huggingface_hub.constants.HF_HUB_OFFLINE
    with ExitStack() as undo:
        undo.callback(register_module_parameter_registration_hook(count).remove)
        undo.callback(logging.set_verbosity, verbosity)
        logging.set_verbosity(logging.CRITICAL)
        undo.callback(setattr, huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
        huggingface_hub.constants.HF_HUB_OFFLINE = True
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        mapped = psutil.Process().memory_info().vms
        if soft == resource.RLIM_INFINITY or mapped + HEADROOM < soft:
            undo.callback(resource.setrlimit, resource.RLIMIT_AS, (soft, hard))
            resource.setrlimit(resource.RLIMIT_AS, (mapped + HEADROOM, hard))
        yield


def _matcher(patterns: Any) -> Any:
    """Whether a name matches one of the library's patterns."""
    compiled = [re.compile(pattern) for pattern in patterns or ()]
    return lambda name: any(pattern.search(name) for pattern in compiled)


def _pattern(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.)", "#", name)


def _copy(value: Any) -> Any:
    """A deep copy, because the library modifies its arguments."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
