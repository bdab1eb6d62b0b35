"""The corpora of a sweep's runs: built where they are missing, and the address by which workers open them."""

from __future__ import annotations

from typing import Any

from repro import paths
from repro.corpus import Corpus, build
from sweeps.grid import Sweep


def build_all(sweep: Sweep) -> dict[str, Corpus]:
    """The corpus of each run, by run id; existing corpora are only opened."""
    built: dict[Any, Corpus] = {}
    found = {}
    for planned in sweep.runs:
        spec = planned.spec
        key = (spec.corpus, spec.model.vocab, spec.model.sequence)
        if key not in built:
            built[key] = build(*key, sweep.storage.corpus, progress=lambda line: print(line, flush=True))
            built[key].verify()
        found[spec.run_id] = built[key]
    return found


def address(root: str, text: Corpus) -> str:
    """The address by which workers open a corpus: its path, or its URI if it was published under one."""
    if "://" not in root:
        return str(text.folder)
    return f"{paths.expand(root, key='storage.corpus').rstrip('/')}/{text.folder.name}"
