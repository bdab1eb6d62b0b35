"""What a sweep's YAML says of its text."""

from __future__ import annotations

import os

from repro import strict
from repro.errors import UserError
from repro.spec import CorpusSpec


def declared(file: str | os.PathLike[str]) -> tuple[CorpusSpec, int, int, str]:
    """Text, vocabulary, sequence and root of the corpora that a sweep's YAML declares.

    Raises:
        UserError: one is missing or none.
    """
    sweep = strict.read_yaml(os.fspath(file))
    spec = strict.build(CorpusSpec, sweep.get("corpus"), file=file, key="corpus")
    model, storage = sweep.get("model") or {}, sweep.get("storage") or {}
    for key in ("vocab", "sequence"):
        if not isinstance(model.get(key), int):
            raise UserError(
                "missing key", file=file, key=f"model.{key}", found=model.get(key), expected="a whole number"
            )
    return spec, model["vocab"], model["sequence"], os.fspath(storage.get("corpus", "data"))
