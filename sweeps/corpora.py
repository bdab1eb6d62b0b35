"""The corpora of a sweep's runs: built where they are missing, and the address by which workers open them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import TypeVar

from repro import paths, ray_address
from repro.corpus import CorpusSummary, build, on_this_machine, published, unused
from repro.errors import UserError
from repro.ladder import Shape
from repro.spec import CorpusSpec
from sweeps.grid import Sweep

T = TypeVar("T")


def build_all(sweep: Sweep) -> dict[str, CorpusSummary]:
    """The corpus of each run, by run id; existing corpora are only opened.

    The driver of a cluster copies none that lie on a store: it needs their manifests only, and may have no disk for
    more. Corpora on a disk are checked against all their hashes; copies from a store are as they arrive.
    """
    return _each(sweep, partial(_open, root=sweep.storage.corpus))


def built(sweep: Sweep) -> dict[str, CorpusSummary]:
    """The corpora of a sweep's runs that this machine has already, by run id."""

    def known(spec: CorpusSpec, vocab: int, sequence: int) -> CorpusSummary | None:
        try:
            return on_this_machine(spec, vocab, sequence, paths.expand(sweep.storage.corpus, key="storage.corpus"))
        except UserError:  # a text or a place that isn't on this machine, which `sweeps run` reports
            return None

    return {run_id: text for run_id, text in _each(sweep, known).items() if text is not None}


def _each(sweep: Sweep, opened: Callable[[CorpusSpec, int, int], T]) -> dict[str, T]:
    """What `opened` gives for the corpus of each run, by run id; it is asked once for each corpus."""
    once = cache(opened)
    return {spec.run_id: once(spec.corpus, spec.model.vocab, spec.model.sequence) for spec in sweep.specs}


def warnings(sweep: Sweep, texts: Mapping[str, CorpusSummary]) -> Iterator[str]:
    """Warns of each corpus whose vocabulary leaves a notable share of a size's prunable weights idle.

    Args:
        texts: corpora by run id.
    """
    for text in {text.name: text for text in texts.values()}.values():
        shapes = shapes_on(sweep, texts, text)
        count = text.manifest.unused
        if count is not None and unused.is_worth_saying(count, shapes):
            yield f"{text.name}: {unused.said(count, text.manifest.vocab, shapes)}"


def shapes_on(sweep: Sweep, texts: Mapping[str, CorpusSummary], text: CorpusSummary) -> dict[str, Shape]:
    """The model of each size that is trained on `text`: of the size's first run there."""
    found: dict[str, Shape] = {}
    for spec in sweep.specs:
        own = texts.get(spec.run_id)
        if own is not None and own.name == text.name:
            found.setdefault(spec.size, spec.model.shape)
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
