"""`python -m repro corpus`: the text of a sweep, built if need be and described."""

from __future__ import annotations

import argparse
from typing import Any

from repro.errors import UserError


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = verbs.add_parser("corpus", help="build the text of a sweep, if need be, and describe it")
    parser.add_argument("file", help="sweep YAML")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from repro import strict
    from repro.corpus import build, describe
    from repro.spec import CorpusSpec

    declared = strict.read_yaml(given.file)
    spec = strict.build(CorpusSpec, declared.get("corpus"), file=given.file, key="corpus")
    model, storage = declared.get("model") or {}, declared.get("storage") or {}
    for key in ("vocab", "sequence"):
        if not isinstance(model.get(key), int):
            raise UserError(
                "missing key", file=given.file, key=f"model.{key}", found=model.get(key), expected="a whole number"
            )
    text = build(spec, model["vocab"], model["sequence"], storage.get("corpus", "data"), progress=print)
    print(describe(text))
    return 0
