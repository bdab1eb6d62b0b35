"""Checks an untrusted config.json, before its sizes become loops and its names become code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from repro.errors import UserError

DEEPEST = 20  # maximum nesting of mappings
MOST = 4_096  # maximum of layers, experts and the like, which become loops when a model is built
LARGEST = 2**40  # maximum of any other whole number
_LOOP = re.compile(r"layer|expert|depth|block|stage|stack|loop|n_head|num_head|codebook|group")
LARGEST_LIST = 1_000_000  # maximum entries; an image classifier has thousands of labels
# Implementations of layers. A name of the form OWNER/REPOSITORY makes transformers fetch and run code.
_IMPLEMENTATION = re.compile(r"_?(?:attn|experts|kernel)\w*_(?:implementation|config)(?:_internal)?|use_kernels")
_CODE = ("auto_map", "custom_pipelines")


def check_sizes(config: dict[str, Any], file: object = None) -> dict[str, Any]:
    """Checks and returns `config`.

    Raises:
        UserError: a number is larger than any model's, or the nesting is deeper than DEEPEST.
    """
    for key, value in _numbers(config, "", 0, file):
        is_loop = _LOOP.search(key.rpartition(".")[2]) and not key.endswith(("_size", "_id", "_ids", "_dim"))
        most = MOST if is_loop else LARGEST
        if abs(value) > most:
            found = f"{value:.3g}" if abs(value) < 10**300 else "a number of hundreds of digits"
            raise UserError(
                "a number too large for any model", file=file, key=key, found=found, expected=f"at most {most:,}"
            )
    return config


def without_code(config: dict[str, Any]) -> dict[str, Any]:
    """`config` without the keys that name the model's own code, or an implementation to fetch and run."""
    return {
        key: without_code(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in _CODE and not _IMPLEMENTATION.fullmatch(key)
    }


def says_layers(config: dict[str, Any]) -> bool:
    """Whether a config has the number of layers, so that its sizes are the model's rather than class defaults."""
    return any(
        (isinstance(key, str) and re.search(r"layers?$|^depth$", key) is not None and isinstance(value, int))
        or (isinstance(value, dict) and says_layers(value))
        for key, value in config.items()
    )


def ties(config: dict[str, Any]) -> bool | None:
    """Whether the config ties head and embedding; falls back on the text model's own config; None if unknown."""
    for part in (config, *(config.get(key) for key in ("text_config", "llm_config", "language_config"))):
        if isinstance(part, dict) and isinstance(said := part.get("tie_word_embeddings"), bool):
            return said
    return None


def _numbers(value: Any, key: str, depth: int, file: object) -> Iterator[tuple[str, float]]:
    if depth > DEEPEST:
        raise UserError("nested too deeply", file=file, key=key[:80], expected=f"at most {DEEPEST} levels")
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, f"{key}.{name}".lstrip("."), depth + 1, file)
    elif isinstance(value, list):
        if len(value) > LARGEST_LIST:
            raise UserError("a list too long for any model", file=file, key=key, found=f"{len(value):,} entries")
        for inner in value:
            yield from _numbers(inner, key, depth + 1, file)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield key, value
