"""What a sweep's YAML says of its text."""

from __future__ import annotations

import os
from typing import Any

from repro import paths, strict
from repro.errors import UserError
from repro.spec import CorpusSpec

MOST = {
    "vocab": 2**32 - 2,
    "sequence": 1 << 24,
}  # tokens: of 32 bits with a mark of padding; of which a row fits memory


def declared(file: str | os.PathLike[str]) -> tuple[CorpusSpec, int, int, str]:
    """Text, vocabulary, sequence and root of the corpora that a sweep's YAML declares.

    Raises:
        UserError: one is missing or none.
    """
    sweep = strict.read_yaml(os.fspath(file))
    spec = strict.build(CorpusSpec, sweep.get("corpus"), file=file, key="corpus")
    model, storage = (_mapping(sweep, key, file) for key in ("model", "storage"))
    vocab, sequence = (_tokens(model, key, file) for key in ("vocab", "sequence"))
    root = storage.get("corpus", "data")
    if not isinstance(root, str) or not root.strip():
        raise UserError(
            "wrong type of value", file=file, key="storage.corpus", found=repr(root), expected="a folder or URI"
        )
    return spec, vocab, sequence, paths.expand(root, file=file, key="storage.corpus")


def _mapping(sweep: dict[str, Any], key: str, file: object) -> dict[str, Any]:
    found = sweep.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UserError("not a mapping", file=file, key=key, found=repr(found)[:80], expected="`key: value` lines")
    return found


def _tokens(model: dict[str, Any], key: str, file: object) -> int:
    """A whole number of tokens; one that YAML reads as a number with a fraction, as of `3.0e2`, may be whole, too."""
    found: Any = model.get(key)
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    if not is_whole and not (isinstance(found, float) and found.is_integer()):
        raise UserError("missing key", file=file, key=f"model.{key}", found=found, expected="a whole number")
    check_tokens(int(found), key, file)
    return int(found)


def check_tokens(value: int, key: str, file: object = None) -> None:
    """Raises UserError for a vocabulary or sequence that no corpus can have."""
    if not 1 <= value <= MOST[key]:
        raise UserError(
            "tokens out of range", file=file, key=f"model.{key}", found=value, expected=f"1 to {MOST[key]:,}"
        )
