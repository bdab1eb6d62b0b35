"""The corpus that a sweep's YAML declares."""

from __future__ import annotations

import dataclasses
import os
from typing import Annotated, Any

from repro import paths, strict
from repro.errors import UserError
from repro.ladder import Shape
from repro.spec import CorpusSpec
from repro.strict import Between, Form

MOST = {"vocab": 2**32 - 2, "sequence": 1 << 24}  # tokens: 32-bit ids with a padding mark; a row that fits in memory


@strict.dataclass
class _Model:
    vocab: Annotated[int, Between(1, MOST["vocab"])]
    sequence: Annotated[int, Between(1, MOST["sequence"], "tokens")]


@strict.dataclass
class _Storage:
    corpus: Annotated[str, Form(pattern=r"\S", said="a folder or URI")] = "data"


@strict.dataclass
class _Declared:
    """The keys of a sweep file that building its corpus needs."""

    corpus: CorpusSpec
    model: _Model
    storage: _Storage = _Storage()


def shapes(file: str | os.PathLike[str]) -> dict[str, Shape]:
    """The sizes that a sweep's YAML declares, by label; without those whose dimensions aren't all given.

    Raises:
        UserError: a dimension is out of range.
    """
    sweep = strict.read_yaml(os.fspath(file))
    model, sizes = sweep.get("model"), sweep.get("sizes")
    shared = model if isinstance(model, dict) else {}
    needed = [field.name for field in dataclasses.fields(Shape) if field.default is dataclasses.MISSING]
    found = {}
    for label, own in sizes.items() if isinstance(sizes, dict) else ():
        keys = {**shared, **(own if isinstance(own, dict) else {})}
        if all(isinstance(keys.get(name), int) for name in needed):
            found[str(label)] = Shape(**strict.taken(Shape, keys))
    return found


def declared(file: str | os.PathLike[str]) -> tuple[CorpusSpec, int, int, str]:
    """Corpus spec, vocabulary, sequence length and corpus root that a sweep's YAML declares.

    Raises:
        UserError: one is missing or invalid.
    """
    sweep = strict.taken(_Declared, strict.read_yaml(os.fspath(file)))
    for key, cls in (("model", _Model), ("storage", _Storage)):
        sweep[key] = _needed(cls, sweep.get(key))
    made = strict.build(_Declared, sweep, file=file)
    root = paths.expand(made.storage.corpus, file=file, key="storage.corpus")
    return made.corpus, made.model.vocab, made.model.sequence, root


def _needed(cls: type, block: Any) -> Any:
    """The keys of a block that `cls` has; anything but a block is returned unchanged, to be rejected."""
    if block is None:
        return {}
    return strict.taken(cls, block) if isinstance(block, dict) else block


def check_tokens(vocab: int, sequence: int) -> None:
    """Raises UserError for a vocabulary or sequence length out of bounds."""
    try:
        _Model(vocab, sequence)
    except UserError as error:
        raise error.located(None, "model") from error
