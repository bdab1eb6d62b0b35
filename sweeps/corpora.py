"""The corpora of a sweep's runs: built where they are missing, and the address by which workers open them."""

from __future__ import annotations

from repro import paths, ray_address
from repro.corpus import CorpusSummary, build, published
from repro.spec import CorpusSpec
from sweeps.grid import Sweep


def build_all(sweep: Sweep) -> dict[str, CorpusSummary]:
    """The corpus of each run, by run id; existing corpora are only opened.

    The driver of a cluster copies none that lie on a store: it needs their manifests only, and may have no disk for
    more. Corpora on a disk are checked against all their hashes; copies from a store are as they arrive.
    """
    built: dict[tuple[CorpusSpec, int, int], CorpusSummary] = {}
    found = {}
    for planned in sweep.runs:
        spec = planned.spec
        key = (spec.corpus, spec.model.vocab, spec.model.sequence)
        if key not in built:
            built[key] = _open(*key, sweep.storage.corpus)
        found[spec.run_id] = built[key]
    return found


def _open(spec: CorpusSpec, vocab: int, sequence: int, root: str) -> CorpusSummary:
    there = None if ray_address.given() is None else published(spec, vocab, sequence, root)
    if there is not None:
        return there
    text = build(spec, vocab, sequence, root, progress=lambda line: print(line, flush=True))
    if "://" not in root:
        text.verify()
    return text


def address(root: str, text: CorpusSummary) -> str:
    """The address by which workers open a corpus: its path, or its URI if it was published under one."""
    if "://" not in root:
        return str(text.place)
    return f"{paths.expand(root, key='storage.corpus').rstrip('/')}/{text.name}"
