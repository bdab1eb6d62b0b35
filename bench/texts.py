"""The text that a speed is measured on, cut and packed as a run's own."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from repro.corpus import Corpus, build
from repro.corpus.bpe import TRAINED
from repro.corpus.packages import PackageSource
from repro.spec import CorpusSpec, RunSpec

# A GPU reads much text; the other is short, and built in a second.
TEXTS = {"cuda": "botocore", "cpu": "pydoc"}
PAGE = 480 * 4.9  # mean characters of a page of the web: tokens by characters of each, at a vocabulary of 32,000


def text_of(spec: RunSpec, root: str, device: str) -> Corpus:
    """Text that a package ships for a device of this type, cut and packed as the run's own; built unless it is there.

    A pretrained tokenizer, which a machine without a network may not have, gives way to one that is trained on it. On a GPU
    the package's documents, about 30 tokens long, are joined to pages: the kernel for attention inside of documents takes
    longer the shorter they are.

    Args:
        device: "cuda" or "cpu".
    """
    tokenizer = spec.corpus.tokenizer if spec.corpus.tokenizer in TRAINED else "bpe"
    source, paths = ("files", (str(_pages(Path(root))),)) if device == "cuda" else ("package", ())
    text = CorpusSpec(
        source,  # type: ignore[arg-type]
        TEXTS[device],
        tokenizer=tokenizer,
        packing=spec.corpus.packing,
        heldout_fraction=0.1,
        paths=paths,
    )
    return build(text, spec.model.vocab, spec.model.sequence, root)


def _pages(root: Path) -> Path:
    """A file of the GPU's text in pages, written unless it is there."""
    source = PackageSource(TEXTS["cuda"])
    file = root / f"pages-{source.name}-{source.versions[source.name]}-{PAGE:.0f}.jsonl"
    if not file.exists():
        root.mkdir(parents=True, exist_ok=True)
        written = file.with_suffix(f".{os.getpid()}")
        texts = (document.text for document in source.documents())
        with written.open("w") as out:
            out.writelines(json.dumps({"text": page}) + "\n" for page in joined(texts, PAGE))
        os.replace(written, file)
    return file


def joined(texts: Iterable[str], mean: float) -> Iterator[str]:
    """Consecutive texts joined until they have a drawn length: log-normal as pages' lengths are, `mean` characters long."""
    lengths = np.random.default_rng(0)
    page: list[str] = []
    size, wanted = 0, 0.0
    for text in texts:
        page.append(text)
        size += len(text) + 1
        if size >= (wanted := wanted or lengths.lognormal(math.log(mean) - 0.5, 1.0)):
            yield "\n".join(page)
            page, size, wanted = [], 0, 0.0
    if page:
        yield "\n".join(page)
